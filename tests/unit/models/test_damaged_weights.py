"""Whatever is wrong with the files of a model or a checkpoint is one line that names the place."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import IMAGE_EMBED_DIM, TEXT_DIM
from tiny_pipelines import save_checkpoint

from bolid_pipeline.errors import BolidError, WeightsMismatch
from bolid_pipeline.models import adapters
from bolid_pipeline.models.adapter_files import read_adapter
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.pipeline import load_pipeline

DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut short": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "missing": Path.unlink,
    "of another kind": lambda file: file.write_text("[]"),
}


@pytest.fixture(scope="module")
def model(tiny_stable_diffusion: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `checkpoint` and a folder `base_model`."""
    folder = tmp_path_factory.mktemp("model")
    shutil.copytree(tiny_stable_diffusion, folder / "base_model")
    (folder / "checkpoint").mkdir()
    save_checkpoint(folder / "checkpoint", tiny_stable_diffusion, is_dense=True)
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damaged_file_is_one_line_or_not_needed(model: Path, tmp_path: Path, damage: str) -> None:
    names = [str(path.relative_to(model)) for path in sorted(model.rglob("*")) if path.is_file()]
    assert len(names) > 20
    refused: dict[str, str] = {}
    for number, name in enumerate(names):
        copy = shutil.copytree(model, tmp_path / str(number))
        DAMAGES[damage](copy / name)
        try:
            load_pipeline(copy / "checkpoint", copy / "base_model")
        except BolidError as error:
            refused[name] = str(error)
    needed = {
        "base_model/model_index.json",
        "base_model/unet/diffusion_pytorch_model.safetensors",
        "base_model/text_encoder/model.safetensors",
        "checkpoint/ref_adapter.safetensors",
        "checkpoint/body_adapter.safetensors",
        "checkpoint/body_encoder/config.json",
        "checkpoint/body_prior/diffusion_pytorch_model.safetensors",
    }
    assert needed <= refused.keys()
    for name, message in refused.items():
        assert str(tmp_path / str(names.index(name))) in message
        assert "\n" not in message
        assert len(message) < 500


def plus_file(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The layout of ip-adapter-plus_sd15.safetensors: a resampler in place of one linear layer."""
    keys = {name: tensor for name, tensor in state.items() if name.startswith("ip_adapter.")}
    width = 64
    shapes = {
        "latents": (1, 16, width),
        "proj_in.weight": (width, IMAGE_EMBED_DIM),
        "proj_in.bias": (width,),
        "proj_out.weight": (TEXT_DIM, width),
        "proj_out.bias": (TEXT_DIM,),
        "norm_out.weight": (TEXT_DIM,),
        "norm_out.bias": (TEXT_DIM,),
        "layers.0.0.norm1.weight": (width,),
        "layers.0.0.norm1.bias": (width,),
        "layers.0.0.norm2.weight": (width,),
        "layers.0.0.norm2.bias": (width,),
        "layers.0.0.to_q.weight": (width, width),
        "layers.0.0.to_kv.weight": (2 * width, width),
        "layers.0.0.to_out.weight": (width, width),
        "layers.0.1.0.weight": (width,),
        "layers.0.1.0.bias": (width,),
        "layers.0.1.1.weight": (4 * width, width),
        "layers.0.1.3.weight": (width, 4 * width),
    }
    return keys | {f"image_proj.{name}": torch.zeros(shape) for name, shape in shapes.items()}


OTHER_FILES: dict[str, tuple[Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], str]] = {
    "IP-Adapter plus": (plus_file, "a projection of another kind"),
    "a LoRA": (lambda _: {"unet.down.lora_A.weight": torch.zeros(2, 2)}, "is no IP-Adapter file"),
    "nothing": (lambda _: {}, "is no IP-Adapter file"),
    "without a projection": (
        lambda state: {name: each for name, each in state.items() if name.startswith("ip_adapter.")},
        "is no IP-Adapter file",
    ),
    "a half projection": (
        lambda state: {
            name: state[name]
            for name in state
            if name not in {"image_proj.norm.bias", "image_proj.proj.3.bias"}
        },
        "a projection of another kind",
    ),
    "a wider projection": (
        lambda state: {
            name: each.repeat(2, 1) if each.ndim == 2 and "proj" in name else each
            for name, each in state.items()
        },
        "the branches do not fit",
    ),
}


@pytest.mark.parametrize("branch", ["ref_adapter.safetensors", "body_adapter.safetensors"])
@pytest.mark.parametrize("kind", OTHER_FILES)
def test_a_branch_of_another_kind_is_refused(model: Path, tmp_path: Path, branch: str, kind: str) -> None:
    copy = shutil.copytree(model, tmp_path / "model")
    file = copy / "checkpoint" / branch
    other, complaint = OTHER_FILES[kind]
    save_file(other(load_file(file)), file)
    with pytest.raises(WeightsMismatch, match=complaint) as refused:
        load_pipeline(copy / "checkpoint", copy / "base_model")
    assert "\n" not in str(refused.value)


def test_a_branch_that_is_refused_leaves_the_u_net_as_it_was(model: Path) -> None:
    unet = load_base_model(model / "base_model").unet
    processors = unet.attn_processors
    ref = read_adapter(model / "checkpoint" / "ref_adapter.safetensors")
    body = read_adapter(model / "checkpoint" / "body_adapter.safetensors")
    with pytest.raises(WeightsMismatch, match="the reference branch has a projection of another kind"):
        adapters.attach(unet, body, body)
    ref["image_proj"]["proj.weight"] = ref["image_proj"]["proj.weight"].repeat(2, 1)
    with pytest.raises(WeightsMismatch, match="the branches do not fit"):
        adapters.attach(unet, ref, body)
    assert not adapters.is_attached(unet)
    assert unet.attn_processors == processors
