"""Settings of the curation: what counts as a person, a face, a watermark, and enough photos."""

from pydantic import NonNegativeInt, PositiveInt

from bolid_pipeline.settings import Probability, YoloSizePx, settings


@settings
class PeopleConfig:
    """How faces and persons are counted."""

    face_conf: Probability = 0.5
    """Least confidence of a face that counts."""
    person_conf: Probability = 0.5
    """Least confidence of a person who counts."""
    iou: Probability = 0.5
    """If two boxes have a larger intersection over union, only the more confident one counts."""
    face_image_size_px: YoloSizePx = 640
    """Side of the square that the face detector sees; a multiple of 32."""
    person_image_size_px: YoloSizePx = 640
    """Side of the square that the pose estimator sees; a multiple of 32."""


@settings
class CurationConfig:
    """Limits that a photo must meet to be kept. The defaults are the thesis'."""

    min_side_px: NonNegativeInt = 1000
    """Least length of a photo's shorter side."""
    max_watermark_prob: Probability = 0.5
    """A photo with a higher probability is watermarked."""
    min_photos_per_identity: PositiveInt = 100
    """A person with fewer photos left is dropped with all of them."""
    use_other_sources: bool = False
    """Use the photos of people from other sources than the one crawled last, too."""
