"""The frozen text-to-image model that everything else is attached to, from a folder of Stable Diffusion or SDXL."""

import json
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from bolid_pipeline.errors import WeightsMissing
from bolid_pipeline.pretrained.loading import loading
from bolid_pipeline.pretrained.model_folders import variant_of

BaseModel = StableDiffusionPipeline | StableDiffusionXLPipeline


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
        WeightsMismatch: a file is damaged, or a network is there as a pickle only.
    """
    folder = Path(folder)
    if is_sdxl_folder(folder):
        pipeline_class, options = StableDiffusionXLPipeline, {"add_watermarker": False}
    else:
        pipeline_class = StableDiffusionPipeline
        options = {"safety_checker": None, "requires_safety_checker": False}
    with loading(folder):
        base: BaseModel = pipeline_class.from_pretrained(
            folder,
            dtype=dtype,
            variant=_variant(folder),
            use_safetensors=True,
            local_files_only=True,
            low_cpu_mem_usage=False,
            **options,
        )
    if base.image_encoder is None and image_encoder is not None:
        of_weights = {"dtype": dtype, "variant": variant_of(Path(image_encoder)), "use_safetensors": True}
        base.register_modules(image_encoder=_load(CLIPVisionModelWithProjection, image_encoder, **of_weights))
    if base.feature_extractor is None and feature_extractor is not None:
        base.register_modules(feature_extractor=_load(CLIPImageProcessor, feature_extractor))
    for module in base.components.values():
        if isinstance(module, torch.nn.Module):
            module.requires_grad_(False).eval()
    return base


def is_sdxl_folder(folder: Path) -> bool:
    """True if a base model's folder is that of an SDXL. Raises WeightsMissing, WeightsMismatch."""
    return "XL" in str(_read_index(folder)["_class_name"])


def _variant(folder: Path) -> str | None:
    """The variant in which a base model's networks are stored. Raises WeightsMissing, WeightsMismatch."""
    networks = ("unet", "vae", "text_encoder", "text_encoder_2", "image_encoder")
    variants = {variant_of(folder / name) for name in networks if (folder / name).is_dir()}
    return "fp16" if "fp16" in variants else None


def _load(
    model_class: type[CLIPVisionModelWithProjection | CLIPImageProcessor],
    folder: str | PathLike[str],
    **options: Any,
) -> CLIPVisionModelWithProjection | CLIPImageProcessor:
    if not Path(folder).is_dir():
        raise WeightsMissing(f"no model at {folder}")
    with loading(Path(folder)):
        return model_class.from_pretrained(folder, local_files_only=True, **options)


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
