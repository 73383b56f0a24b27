import shutil
from pathlib import Path

import pytest
import torch

from bolid_pipeline.errors import WeightsMissing
from bolid_pipeline.models.base import load_base_model


def test_everything_is_frozen(tiny_stable_diffusion: Path) -> None:
    base = load_base_model(tiny_stable_diffusion)
    modules = [module for module in base.components.values() if isinstance(module, torch.nn.Module)]
    assert len(modules) == 4
    assert not any(parameter.requires_grad for module in modules for parameter in module.parameters())
    assert not any(module.training for module in modules)


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"no model_index\.json"):
        load_base_model(tmp_path)


def test_a_missing_part_is_named(tiny_stable_diffusion: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_stable_diffusion, tmp_path / "model")
    shutil.rmtree(tmp_path / "model" / "image_encoder")
    with pytest.raises(WeightsMissing, match="image_encoder"):
        load_base_model(tmp_path / "model")
