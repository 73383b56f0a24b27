"""Checkpoints for the tiny base models, the pipeline that loads both, and the stock pipeline to compare it with."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module", params=["sd", "sdxl"])
def base_model(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue("tiny_stable_diffusion" if request.param == "sd" else "tiny_sdxl")


@pytest.fixture(scope="module", params=[False, True], ids=["vector", "dense"])
def checkpoint(
    request: pytest.FixtureRequest, base_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    from tiny_pipelines import save_checkpoint

    return save_checkpoint(tmp_path_factory.mktemp("checkpoint"), base_model, is_dense=request.param)


@pytest.fixture(scope="module")
def pipe(checkpoint: Path, base_model: Path, tiny_clip_vision: Path) -> Any:
    from bolid_pipeline.models.pipeline import load_pipeline

    pipe = load_pipeline(
        checkpoint,
        base_model,
        image_encoder=tiny_clip_vision / "image_encoder",
        feature_extractor=tiny_clip_vision / "feature_extractor",
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def stock(base_model: Path) -> Any:
    from tiny_pipelines import load_stock

    return load_stock(base_model)
