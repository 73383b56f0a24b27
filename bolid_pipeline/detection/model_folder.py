"""Detectors of transformers, opened from a folder as `save_pretrained` lays it out."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoImageProcessor

from bolid_pipeline.errors import WeightsMismatch, WeightsMissing
from bolid_pipeline.pretrained.loading import loading
from bolid_pipeline.pretrained.model_folders import load_network


def load_model_folder(folder: Path, model_class: Any, model_types: Collection[str]) -> tuple[Any, Any]:
    """The frozen network of a folder, in float32 on the CPU, and its image processor.

    Args:
        folder: with `config.json`, `model.safetensors` and `preprocessor_config.json`.
        model_class: a class of transformers, or an `AutoModelFor...`.
        model_types: those that will do, as `config.json` names them.

    Raises:
        WeightsMissing, WeightsMismatch: see `load_network`; or the network is of another type.
    """
    if not folder.is_dir():
        raise WeightsMissing(f"no model folder at {folder}")
    with loading(folder):
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    if config.model_type not in model_types:
        wanted = " or ".join(model_types)
        raise WeightsMismatch(f"{folder} holds a network of type {config.model_type}, not {wanted}")
    return load_network(model_class, folder, config=config).float(), processor
