"""The small pretrained networks that travel with the package. Importing this is cheap: no torch."""

from pathlib import Path
from typing import Literal, get_args

from bolid_pipeline.errors import WeightsMissing

WeightsRole = Literal["face_detector", "pose_estimator", "watermark_classifier", "clip", "base_model"]
WEIGHTS_ROLES: tuple[WeightsRole, ...] = get_args(WeightsRole)
_WEIGHTS_DIR = Path(__file__).parent


def weights_folder(role: WeightsRole) -> Path:
    """Folder of the bundled weights of a role.

    Raises:
        WeightsMissing: `role` is not one of `WEIGHTS_ROLES`.
    """
    if role not in WEIGHTS_ROLES:
        raise WeightsMissing(f"no bundled weights for {role!r}: it must be one of {', '.join(WEIGHTS_ROLES)}")
    return _WEIGHTS_DIR / role
