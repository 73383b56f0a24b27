"""Where to import BoLID's pipelines from: the two classes, and `load_pipeline`, which picks the one that fits.

from bolid_pipeline.models.pipeline import load_pipeline

pipe = load_pipeline("data/checkpoints/demo", "folder/of/the/base/model")
pipe("a woman running on a beach", identity="rosa_orlow").images[0]
"""

from os import PathLike
from pathlib import Path

import torch

from bolid_pipeline.models.base import BaseModel, load_base_model
from bolid_pipeline.models.few_step_lora import fuse_few_step_lora
from bolid_pipeline.models.pipelines.bolid_sd import BoLIDPipeline
from bolid_pipeline.models.pipelines.bolid_sdxl import BoLIDXLPipeline
from bolid_pipeline.models.text import is_sdxl
from bolid_pipeline.pretrained.device import Device, drawing_dtype, find_device
from bolid_pipeline.pretrained.weights import WeightsFile

__all__ = ["AnyBoLIDPipeline", "BoLIDPipeline", "BoLIDXLPipeline", "load_pipeline", "pipeline_around"]

AnyBoLIDPipeline = BoLIDPipeline | BoLIDXLPipeline


def load_pipeline(
    checkpoint: str | PathLike[str],
    base_model: str | PathLike[str],
    *,
    device: Device = "cpu",
    dtype: torch.dtype | None = None,
    image_encoder: str | PathLike[str] | None = None,
    feature_extractor: str | PathLike[str] | None = None,
    few_step_lora: str | PathLike[str] | WeightsFile | None = None,
) -> AnyBoLIDPipeline:
    """Load a base model and a BoLID checkpoint that was trained on it.

    Args:
        checkpoint: folder that training wrote.
        base_model: diffusers folder of the base model, Stable Diffusion or SDXL.
        device: where all networks go; "auto" takes a GPU if there is one.
        dtype: dtype of all networks; None for float16 on a GPU and float32 on the CPU.
        image_encoder: folder of the CLIP image encoder, for a base model without one; only pictures need it.
        feature_extractor: folder of its image processor, likewise.
        few_step_lora: file of an LCM-LoRA or a Hyper-SD, fused into the U-Net; the pipeline then draws by its sampler,
            and by its steps and guidance where a call names none (see `models.few_step_lora`).

    Returns:
        A `BoLIDXLPipeline` if the base model is SDXL, else a `BoLIDPipeline`.

    Raises:
        WeightsMissing: a part of either folder is missing.
        WeightsMismatch: the checkpoint or the LoRA was trained on another base model.
    """
    place = find_device(device)
    base = load_base_model(
        base_model,
        dtype=dtype or drawing_dtype(place),
        image_encoder=image_encoder,
        feature_extractor=feature_extractor,
    )
    call_defaults = {}
    if few_step_lora is not None:
        is_checked = isinstance(few_step_lora, WeightsFile)
        file = few_step_lora if is_checked else WeightsFile(path=Path(few_step_lora))
        call_defaults = fuse_few_step_lora(base, file)
    pipe = pipeline_around(base)
    pipe.call_defaults = call_defaults
    pipe.load_bolid(checkpoint)
    return pipe.to(place)


def pipeline_around(base: BaseModel) -> AnyBoLIDPipeline:
    """Build a pipeline from a loaded base model, whose networks it shares; no checkpoint is loaded into it."""
    if is_sdxl(base):
        force_zeros = base.config.force_zeros_for_empty_prompt
        return BoLIDXLPipeline(**base.components, force_zeros_for_empty_prompt=force_zeros)
    return BoLIDPipeline(**base.components, requires_safety_checker=False)
