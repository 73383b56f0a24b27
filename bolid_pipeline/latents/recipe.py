"""What latents are made from and how."""

from dataclasses import dataclass

from bolid_pipeline.latents.config import LatentConfig, LatentModels
from bolid_pipeline.latents.fingerprints import LatentFingerprints, latent_fingerprints
from bolid_pipeline.latents.layout import LatentLayout, make_layout


@dataclass(frozen=True, kw_only=True)
class LatentRecipe:
    """Models and settings with what follows from them."""

    models: LatentModels
    config: LatentConfig
    layout: LatentLayout
    fingerprints: LatentFingerprints

    @classmethod
    def of(cls, models: LatentModels, config: LatentConfig, pose_fingerprint: str) -> "LatentRecipe":
        """For poses with `pose_fingerprint`. Raises WeightsMissing."""
        return cls(
            models=models,
            config=config,
            layout=make_layout(models, config),
            fingerprints=latent_fingerprints(models, config, pose_fingerprint),
        )
