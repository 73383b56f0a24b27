"""The recipe of the table `poses`."""

from dataclasses import dataclass
from typing import Any

from bolid_pipeline.pose.config import PoseConfig
from bolid_pipeline.pretrained.weights import Weights
from bolid_pipeline.stages.recipe import PhotoStage, Recipe
from bolid_pipeline.storage.photos import PhotoStore


@dataclass(frozen=True, kw_only=True)
class PoseRecipe(Recipe):
    """Box and keypoints of the one person of a photo, by a pose estimator."""

    table = "poses"
    code_version = "1"

    weights: Weights
    person_weights: Weights
    """Of the detector of persons, for a pose estimator that looks into their boxes."""
    config: PoseConfig

    def open(self, photos: PhotoStore, device: str) -> PhotoStage[Any]:
        """A `PoseStage`."""
        from bolid_pipeline.pose.estimator import PoseStage

        return PoseStage(self, photos, device)
