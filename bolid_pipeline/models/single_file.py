"""A base model that is published as one `.safetensors`, as Stability and most fine-tunes do, as a diffusers folder.

diffusers renames the layers. What it does not find in the file it leaves at random, so the numbers of each network are
counted first.
"""

import shutil
import tempfile
from math import prod
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors import safe_open
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from bolid_pipeline.errors import WeightsMismatch
from bolid_pipeline.models.base import is_sdxl_folder
from bolid_pipeline.pretrained.loading import loading

_PREFIXES = {
    False: {
        "unet": "model.diffusion_model.",
        "vae": "first_stage_model.",
        "text_encoder": "cond_stage_model.transformer.",
    },
    True: {
        "unet": "model.diffusion_model.",
        "vae": "first_stage_model.",
        "text_encoder": "conditioner.embedders.0.transformer.",
        "text_encoder_2": "conditioner.embedders.1.model.",
    },
}
"""Whether it is an SDXL -> the networks' names in diffusers -> what their layers' names begin with in the file."""
_NO_WEIGHTS = ("position_ids", "logit_scale")
"""Ends of names that stand for no parameter of these networks."""


def unpack_single_file(file: Path, layout: Path, folder: Path) -> Path:
    """Write a base model of one file as a diffusers folder, in the file's own precision; returns the folder.

    A folder that is there already is taken as it is. Several processes may unpack the same file at once.

    Args:
        file: a `.safetensors` of Stable Diffusion 1.x or SDXL, in the layout of their authors.
        layout: a diffusers folder of the same architecture; only its configs and tokenizers are read.
        folder: where to write to.

    Raises:
        WeightsMissing: the layout lacks a part.
        WeightsMismatch: the file is damaged, or holds another architecture than the layout describes.
    """
    if folder.is_dir():
        return folder
    if file.suffix != ".safetensors":
        raise WeightsMismatch(
            f"{file} is no .safetensors, and a pickle can run code: take the .safetensors of the same model"
        )
    is_sdxl = is_sdxl_folder(layout)
    dtype = _check_numbers(file, layout, is_sdxl=is_sdxl)
    options: dict[str, Any] = {"add_watermarker": False} if is_sdxl else {"requires_safety_checker": False}
    absent = {"image_encoder": None} if is_sdxl else {"image_encoder": None, "safety_checker": None}
    pipeline_class = StableDiffusionXLPipeline if is_sdxl else StableDiffusionPipeline
    with loading(file):
        pipe = pipeline_class.from_single_file(
            str(file), config=str(layout), local_files_only=True, torch_dtype=dtype, **absent, **options
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        pipe.save_pretrained(partial)
        Path(partial).rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was quicker
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _check_numbers(file: Path, layout: Path, *, is_sdxl: bool) -> torch.dtype:
    """Refuse a file that holds more or fewer numbers of a network than there are; returns the file's widest dtype."""
    with loading(file), safe_open(file, framework="pt") as opened:
        names = [name for name in opened.keys() if not name.endswith(_NO_WEIGHTS)]  # noqa: SIM118 - not a dict
        sizes = {name: prod(opened.get_slice(name).get_shape()) for name in names}
        dtypes = {opened.get_slice(name).get_dtype() for name in names}
    for part, needed in _parameters(layout, is_sdxl=is_sdxl).items():
        prefix = _PREFIXES[is_sdxl][part]
        found = sum(size for name, size in sizes.items() if name.startswith(prefix))
        if found != needed:
            raise WeightsMismatch(
                f"{file} is no base model of the layout of {layout}: it holds {found:,} numbers of the {part}, "
                f"which has {needed:,}"
            )
    return torch.float32 if "F32" in dtypes else torch.bfloat16 if dtypes == {"BF16"} else torch.float16


def _parameters(layout: Path, *, is_sdxl: bool) -> dict[str, int]:
    """The number of parameters of each network that the layout describes."""
    with loading(layout), torch.device("meta"):
        networks: dict[str, torch.nn.Module] = {
            "unet": UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(layout / "unet")),
            "vae": AutoencoderKL.from_config(AutoencoderKL.load_config(layout / "vae")),
            "text_encoder": CLIPTextModel(CLIPTextConfig.from_pretrained(layout / "text_encoder")),
        }
        if is_sdxl:
            config = CLIPTextConfig.from_pretrained(layout / "text_encoder_2")
            networks["text_encoder_2"] = CLIPTextModelWithProjection(config)
    return {
        name: sum(parameter.numel() for parameter in network.parameters())
        for name, network in networks.items()
    }
