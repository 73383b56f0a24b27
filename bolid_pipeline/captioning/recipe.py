"""The recipe of the table `captions`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bolid_pipeline.captioning.config import ClipCaptionConfig, VlmConfig
from bolid_pipeline.stages.recipe import PhotoStage, Recipe
from bolid_pipeline.storage.photos import PhotoStore


@dataclass(frozen=True, kw_only=True)
class CaptionRecipe(Recipe):
    """Captions by a vision-language model or by a CLIP, as the type of `config` says."""

    table = "captions"
    code_version = "2"

    model: Path
    """Folder of the model."""
    config: ClipCaptionConfig | VlmConfig

    def open(self, photos: PhotoStore, device: str) -> PhotoStage[Any]:
        """A `CaptionStage`."""
        from bolid_pipeline.captioning.stage import CaptionStage

        return CaptionStage(self, photos, device)
