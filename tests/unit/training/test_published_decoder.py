"""The tiny autoencoder as `madebyollin/taesd` publishes it, in its real size, with random weights."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file, save_file
from tiny_models import save_tiny_clip

from bolid_pipeline.errors import WeightsError
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.training.config import FewStepConfig, Term
from bolid_pipeline.training.loss_networks import LossNetworkFiles, LossNetworks
from bolid_pipeline.training.presets import tiny
from resources.published_models import published_model

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def taesd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two files of diffusers, and beside them one of the original's, which is not read."""
    folder = tmp_path_factory.mktemp("taesd")
    torch.manual_seed(0)
    AutoencoderTiny().save_pretrained(folder)
    save_file({"1.weight": torch.zeros(64, 4, 3, 3)}, folder / "taesd_decoder.safetensors")
    return folder


def _networks(decoder: Path, base_model: Path, clip: Path) -> LossNetworks:
    few_step = FewStepConfig(l_clip=Term(weight=0.1))
    config = replace(tiny(), few_step=few_step)
    return LossNetworks(config, LossNetworkFiles(clip=clip, decoder=decoder), load_base_model(base_model).vae)


def test_the_published_size_decodes(taesd: Path, tiny_stable_diffusion: Path, tmp_path: Path) -> None:
    published = published_model("madebyollin/taesd")
    written = sum((taesd / name).stat().st_size for name in published.files)
    assert published.size_bytes is not None
    assert abs(written - published.size_bytes) < 10_000  # as many numbers; the headers differ
    networks = _networks(taesd, tiny_stable_diffusion, save_tiny_clip(tmp_path / "clip"))
    latents = torch.randn(1, 4, 8, 6, generator=torch.Generator().manual_seed(0))
    expected = AutoencoderTiny.from_pretrained(taesd, low_cpu_mem_usage=False).decode(latents).sample
    torch.testing.assert_close(networks.decode(latents), expected.mul(0.5).add(0.5).clamp(0, 1))


def _cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-100])


def _without_a_weight(folder: Path) -> None:
    state = load_file(folder / WEIGHTS)
    del state["decoder.layers.0.weight"]
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})


def _original_only(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (_cut, "is damaged"),
        (_without_a_weight, r"lacks 1 weights of its network, such as decoder\.layers\.0\.weight"),
        (_original_only, "is damaged, or holds something else"),
    ],
)
def test_damaged_files_are_one_line(
    damage: Callable[[Path], None],
    complaint: str,
    taesd: Path,
    tiny_stable_diffusion: Path,
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(taesd, tmp_path / "copy")
    damage(folder)
    with pytest.raises(WeightsError, match=complaint) as refused:
        _networks(folder, tiny_stable_diffusion, save_tiny_clip(tmp_path / "clip"))
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)
