"""Tiny models on disk, written once per session."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_stable_diffusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_models import save_tiny_stable_diffusion

    return save_tiny_stable_diffusion(tmp_path_factory.mktemp("tiny") / "stable_diffusion")


@pytest.fixture(scope="session")
def tiny_sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_models import save_tiny_sdxl

    return save_tiny_sdxl(tmp_path_factory.mktemp("tiny") / "sdxl")


@pytest.fixture(scope="session")
def tiny_clip_vision(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_models import save_tiny_image_encoder

    return save_tiny_image_encoder(tmp_path_factory.mktemp("tiny") / "clip_vision")
