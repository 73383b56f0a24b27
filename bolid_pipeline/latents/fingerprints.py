"""What makes a row of `latents`: change any of it, and the rows, or their body latents only, are made again."""

from dataclasses import asdict, dataclass

from bolid_pipeline.latents.config import LatentConfig, LatentModels
from bolid_pipeline.stages.refresh import fingerprint

_WEIGHTING = ("sigma_fraction", "alpha")


@dataclass(frozen=True)
class LatentFingerprints:
    """Of a row's two halves."""

    plain: str
    """`model_fingerprint`: latent, image embedding, crop and keypoints."""
    body: str
    """`body_fingerprint`: the body latent, which depends on all of that and on the weighting."""


def latent_fingerprints(
    models: LatentModels, config: LatentConfig, pose_fingerprint: str
) -> LatentFingerprints:
    """Of rows made from poses with `pose_fingerprint`. Raises WeightsMissing."""
    settings = asdict(config)
    weighting = {name: settings.pop(name) for name in _WEIGHTING}
    plain = fingerprint(
        stage="latents", code=1, models=models.fingerprint(), config=settings, poses=pose_fingerprint
    )
    return LatentFingerprints(
        plain=plain, body=fingerprint(stage="body_latents", code=1, plain=plain, weighting=weighting)
    )
