"""Settings of the pose estimation."""

from bolid_pipeline.settings import Probability, YoloSizePx, settings


@settings
class PoseConfig:
    """How the one person of a photo is found."""

    image_size_px: YoloSizePx = 640
    """Side of the square that the pose estimator sees; a multiple of 32."""
    person_conf: Probability = 0.25
    """Least confidence of a person; of several, the surest one counts."""
    iou: Probability = 0.7
    """If two boxes have a larger intersection over union, only the more confident one stays."""
