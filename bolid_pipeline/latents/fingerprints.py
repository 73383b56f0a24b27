"""What makes a row of `latents`: change any of it, and the rows are made again."""

from dataclasses import asdict

from bolid_pipeline.latents.config import LatentConfig, LatentModels
from bolid_pipeline.storage.incremental import fingerprint


def latent_fingerprint(models: LatentModels, config: LatentConfig, pose_fingerprint: str) -> str:
    """Of rows made by `LatentStage` from poses with `pose_fingerprint`. Raises WeightsMissing."""
    return fingerprint(
        stage="latents", code=1, models=models.fingerprint(), config=asdict(config), poses=pose_fingerprint
    )
