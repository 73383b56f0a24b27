"""The recipes of the table `latents`: for whole rows, and for their body latents alone."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from bolid_pipeline.latents.config import LatentConfig, LatentModels
from bolid_pipeline.latents.layout import LatentLayout, make_layout
from bolid_pipeline.settings import to_json
from bolid_pipeline.stages.recipe import PhotoStage, Recipe
from bolid_pipeline.storage.photos import PhotoStore

_WEIGHTING = ("sigma_fraction", "alpha")
"""Settings that affect only the body latent."""


@dataclass(frozen=True, kw_only=True)
class LatentRecipe(Recipe):
    """Whole rows: latent, body latent, image embedding, crop and keypoints.

    Refresh with this recipe first and with `body` afterwards: `body` remakes only the body latents of rows that were
    weighted with another sigma or alpha.
    """

    table = "latents"
    code_version = "1"
    copied_columns = ("identity",)

    models: LatentModels
    config: LatentConfig
    poses_made_by: tuple[str, ...]
    """Fingerprints in `poses`: other keypoints give other crops."""
    layout: LatentLayout
    """Follows from `models` and `config`; a field, so that a worker need not hash the models again."""

    @classmethod
    def from_poses(cls, poses: pa.Table, *, models: LatentModels, config: LatentConfig) -> "LatentRecipe":
        """The recipe for latents that are cut and weighted by these rows of `poses`. Raises WeightsMissing."""
        made_by = poses["model_fingerprint"].unique().to_pylist()
        return cls(
            models=models,
            config=config,
            poses_made_by=tuple(sorted(made_by)),
            layout=make_layout(models, config),
        )

    @property
    def body(self) -> "BodyLatentRecipe":
        """The recipe of the body latents alone."""
        return BodyLatentRecipe(latents=self)

    @property
    def ingredients(self) -> dict[str, Any]:
        """Models, poses, and the settings that shape more than the body latent."""
        config = {name: value for name, value in to_json(self.config).items() if name not in _WEIGHTING}
        return {"models": self.layout.models, "config": config, "poses": self.poses_made_by}

    @property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprints for both columns, because a whole row holds a body latent too."""
        return {**super().fingerprints, **self.body.fingerprints}

    @property
    def table_columns(self) -> pa.Schema:
        """As wide as the models make them."""
        return self.layout.columns

    def open(self, photos: PhotoStore, device: str) -> PhotoStage[Any]:
        """A `LatentStage`."""
        from bolid_pipeline.latents.stage import LatentStage

        return LatentStage(self, photos, device)


@dataclass(frozen=True, kw_only=True)
class BodyLatentRecipe(Recipe):
    """The body latents of existing rows."""

    table = "latents"
    code_version = LatentRecipe.code_version
    fingerprint_column = "body_fingerprint"
    is_update = True

    latents: LatentRecipe

    @property
    def ingredients(self) -> dict[str, Any]:
        """Everything that shapes the plain latent, and the weighting."""
        config = to_json(self.latents.config)
        return {"latents": self.latents.fingerprint, "weighting": {name: config[name] for name in _WEIGHTING}}

    @property
    def table_columns(self) -> pa.Schema:
        """As wide as the models make them."""
        return self.latents.table_columns

    @property
    def made_columns(self) -> pa.Schema:
        """`photo_id` and `body_latent`."""
        return pa.schema([self.table_columns.field(name) for name in ("photo_id", "body_latent")])

    def open(self, photos: PhotoStore, device: str) -> PhotoStage[Any]:
        """A `BodyLatentStage`."""
        from bolid_pipeline.latents.stage import BodyLatentStage

        return BodyLatentStage(self.latents, photos, device)
