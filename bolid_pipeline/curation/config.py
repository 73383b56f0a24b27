"""Settings of the curation: what counts as a person, a face, a watermark, and enough photos."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PeopleConfig:
    """How faces and persons are counted."""

    face_conf: float = 0.5
    """Faces found with less confidence do not count, in [0, 1]."""
    person_conf: float = 0.5
    """Persons found with less confidence do not count, in [0, 1]."""
    iou: float = 0.5
    """Of two boxes that overlap more than this, one counts."""
    face_image_size_px: int = 640
    """Side of the square that the face detector sees, a multiple of 32."""
    person_image_size_px: int = 640
    """Side of the square that the pose estimator sees, a multiple of 32."""


@dataclass(frozen=True, kw_only=True)
class CurationConfig:
    """What a photo must be to be kept. Defaults are the thesis'."""

    min_side_px: int = 1000
    """Shortest side a photo may have."""
    max_watermark_prob: float = 0.5
    """Photos with a higher probability are watermarked."""
    min_photos_per_identity: int = 100
    """A person with fewer photos left is dropped with all of them."""
