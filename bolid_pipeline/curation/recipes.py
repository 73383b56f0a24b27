"""The recipes of the tables `watermark_scores` and `face_detections`."""

from dataclasses import dataclass
from typing import Any

from bolid_pipeline.curation.config import PeopleConfig
from bolid_pipeline.pretrained.weights import Weights, WeightsFile
from bolid_pipeline.stages.recipe import PhotoStage, Recipe
from bolid_pipeline.storage.photos import PhotoStore


@dataclass(frozen=True, kw_only=True)
class WatermarkRecipe(Recipe):
    """The probability of a watermark, by a ConvNeXt."""

    table = "watermark_scores"
    code_version = "1"

    weights: WeightsFile

    def open(self, photos: PhotoStore, device: str) -> PhotoStage[Any]:
        """A `WatermarkStage`."""
        from bolid_pipeline.curation.watermark import WatermarkStage

        return WatermarkStage(self, photos, device)


@dataclass(frozen=True, kw_only=True)
class PeopleRecipe(Recipe):
    """Faces and persons in a photo, by a detector of each."""

    table = "face_detections"
    code_version = "1"

    face_weights: Weights
    person_weights: Weights
    config: PeopleConfig

    def open(self, photos: PhotoStore, device: str) -> PhotoStage[Any]:
        """A `PeopleStage`."""
        from bolid_pipeline.curation.people import PeopleStage

        return PeopleStage(self, photos, device)
