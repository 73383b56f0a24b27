"""Base models as they are published: folders in several variants, and single files."""

import shutil
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file
from single_files import save_single_file
from tiny_models import save_tiny_sdxl

from bolid_pipeline.errors import WeightsError, WeightsMismatch
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.single_file import unpack_single_file

NETWORKS = ("unet", "vae", "text_encoder", "text_encoder_2")


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its second text encoder is wider than the first, as that of SDXL is."""
    return save_tiny_sdxl(tmp_path_factory.mktemp("sdxl") / "sdxl", second_text_dim=48)


def layout_of(folder: Path, into: Path) -> Path:
    """The configs and tokenizers of a base model, without any weights."""
    ignored = shutil.ignore_patterns("*.safetensors", "image_encoder", "safety_checker")
    shutil.copytree(folder, into, ignore=ignored)
    index = (into / "model_index.json").read_text()
    lines = [line for line in index.splitlines() if '"image_encoder"' not in line]
    if "image_encoder" in index:
        start = index.index('  "image_encoder"')
        index = index[:start] + index[index.index("],", start) + 3 :]
    (into / "model_index.json").write_text(index)
    del lines
    return into


def same_weights(found: torch.nn.Module, expected: torch.nn.Module) -> bool:
    theirs = expected.state_dict()
    return found.state_dict().keys() == theirs.keys() and all(
        torch.equal(tensor, theirs[name]) for name, tensor in found.state_dict().items()
    )


@pytest.mark.parametrize("kind", ["sd15", "sdxl"])
def test_a_single_file_is_unpacked_to_the_same_weights(
    kind: str, tiny_stable_diffusion: Path, sdxl: Path, tmp_path: Path
) -> None:
    folder = tiny_stable_diffusion if kind == "sd15" else sdxl
    base = load_base_model(folder)
    file = save_single_file(base, tmp_path / "published.safetensors")
    layout = layout_of(folder, tmp_path / "layout")

    unpacked = load_base_model(unpack_single_file(file, layout, tmp_path / "unpacked"))

    assert type(unpacked) is type(base)
    for name in NETWORKS:
        if name in base.components:
            assert same_weights(unpacked.components[name], base.components[name]), name
    assert unpacked.tokenizer("a photo").input_ids == base.tokenizer("a photo").input_ids
    assert unpacked.scheduler.config.prediction_type == "epsilon"
    assert {path.name for path in tmp_path.iterdir()} == {"published.safetensors", "layout", "unpacked"}
