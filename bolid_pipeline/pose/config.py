"""Settings of the pose estimation."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PoseConfig:
    """How the one person of a photo is found."""

    image_size_px: int = 640
    """Side of the square that the pose estimator sees, a multiple of 32."""
    person_conf: float = 0.25
    """The surest person counts; one found with less confidence than this does not, in [0, 1]."""
    iou: float = 0.7
    """Of two boxes that overlap more than this, the surer one stays."""
