"""The frozen text-to-image model that everything else is attached to, from a folder of Stable Diffusion or SDXL."""

import json
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import (
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionModelWithProjection,
)

from bolid_pipeline.errors import WeightsMissing
from bolid_pipeline.pretrained.loading import loading
from bolid_pipeline.pretrained.model_folders import load_network

BaseModel = StableDiffusionPipeline | StableDiffusionXLPipeline

_NETWORKS: dict[str, Any] = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "text_encoder": CLIPTextModel,
    "text_encoder_2": CLIPTextModelWithProjection,
    "image_encoder": CLIPVisionModelWithProjection,
}
"""Folder of a base model -> class of the network in it."""
_OPTIONS: dict[Any, dict[str, Any]] = {
    of_diffusers: {"low_cpu_mem_usage": False} for of_diffusers in (UNet2DConditionModel, AutoencoderKL)
}


def load_base_model(
    folder: str | PathLike[str],
    *,
    dtype: torch.dtype = torch.float32,
    image_encoder: str | PathLike[str] | None = None,
    feature_extractor: str | PathLike[str] | None = None,
) -> BaseModel:
    """Load a local diffusers folder, all networks frozen and in eval mode.

    The safety checker is left out, because training has no use for it. `BoLIDPipeline.from_pretrained` keeps it.

    Args:
        folder: the pipeline's folder; its model_index.json says whether it is SDXL.
        dtype: dtype of all networks.
        image_encoder: folder of the CLIP image encoder, for a base model without one.
        feature_extractor: folder of its image processor, likewise.

    Returns:
        A `StableDiffusionXLPipeline` if the folder holds an SDXL, else a `StableDiffusionPipeline`.

    Raises:
        WeightsMissing: the folder, or a part that its model_index.json lists, is missing.
        WeightsMismatch: a file is damaged, or a network lacks weights, or is there as a pickle only.
    """
    folder = Path(folder)
    if is_sdxl_folder(folder):
        pipeline_class, options = StableDiffusionXLPipeline, {"add_watermarker": False}
    else:
        pipeline_class = StableDiffusionPipeline
        options = {"safety_checker": None, "requires_safety_checker": False}
    networks: dict[str, Any] = {
        name: load_network(model_class, folder / name, dtype=dtype, **_OPTIONS.get(model_class, {}))
        for name, model_class in _NETWORKS.items()
        if (folder / name).is_dir()
    }
    with loading(folder):
        base: BaseModel = pipeline_class.from_pretrained(
            folder, dtype=dtype, local_files_only=True, **networks, **options
        )
    if base.image_encoder is None and image_encoder is not None:
        network = load_network(CLIPVisionModelWithProjection, Path(image_encoder), dtype=dtype)
        base.register_modules(image_encoder=network)
    if base.feature_extractor is None and feature_extractor is not None:
        base.register_modules(feature_extractor=_load_processor(Path(feature_extractor)))
    return base


def is_sdxl_folder(folder: Path) -> bool:
    """True if a base model's folder is that of an SDXL. Raises WeightsMissing, WeightsMismatch."""
    return "XL" in str(_read_index(folder)["_class_name"])


def _load_processor(folder: Path) -> CLIPImageProcessor:
    if not folder.is_dir():
        raise WeightsMissing(f"no image processor at {folder}")
    with loading(folder):
        return CLIPImageProcessor.from_pretrained(folder, local_files_only=True)


def _read_index(folder: Path) -> dict[str, Any]:
    """model_index.json, all of whose parts are there."""
    index_path = folder / "model_index.json"
    if not index_path.is_file():
        raise WeightsMissing(f"{folder} is no diffusers model folder: it holds no model_index.json")
    with loading(index_path):
        index: dict[str, Any] = {"_class_name": None, **json.loads(index_path.read_text("utf-8"))}
    for part, library_and_class in index.items():
        is_part = isinstance(library_and_class, list) and library_and_class[0] is not None
        if is_part and part != "safety_checker" and not (folder / part).is_dir():
            raise WeightsMissing(f"{folder} lists {part} in its model_index.json but holds no folder {part}/")
    return index
