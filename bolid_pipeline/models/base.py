"""The frozen text-to-image model that everything else is attached to: a Stable Diffusion folder of diffusers."""

import json
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

from bolid_pipeline.errors import WeightsMissing


def load_base_model(folder: str | Path, *, dtype: torch.dtype = torch.float32) -> StableDiffusionPipeline:
    """Load a local diffusers folder, frozen: vae, unet, text_encoder, tokenizer, scheduler, image_encoder if listed.

    The safety checker is left out: this is the model as training needs it. `BoLIDPipeline.from_pretrained` keeps it.

    Raises:
        WeightsMissing: the folder, or a part that its model_index.json lists, is not there.
    """
    folder = Path(folder)
    _check_parts(folder)
    base = StableDiffusionPipeline.from_pretrained(
        folder,
        dtype=dtype,
        local_files_only=True,
        low_cpu_mem_usage=False,
        safety_checker=None,
        requires_safety_checker=False,
    )
    for module in base.components.values():
        if isinstance(module, torch.nn.Module):
            module.requires_grad_(False).eval()
    return base


def _check_parts(folder: Path) -> None:
    index_path = folder / "model_index.json"
    if not index_path.is_file():
        raise WeightsMissing(f"{folder} is no diffusers model folder: it holds no model_index.json")
    index: dict[str, object] = json.loads(index_path.read_text())
    for part, library_and_class in index.items():
        is_part = isinstance(library_and_class, list) and library_and_class[0] is not None
        if is_part and part != "safety_checker" and not (folder / part).is_dir():
            raise WeightsMissing(f"{folder} lists {part} in its model_index.json but holds no folder {part}/")
