"""Aspect buckets: the few sizes that photos are cut and scaled to, without changing their aspect ratio.

Aspect ratios are height / width; boxes are (x1, y1, x2, y2) in px.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]


@dataclass(frozen=True, order=True)
class Bucket:
    """A picture size in px."""

    height: int
    width: int

    @property
    def aspect(self) -> float:
        """Height / width."""
        return self.height / self.width

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"


def make_buckets(resolution_px: int, multiple_px: int, max_aspect: float) -> tuple[Bucket, ...]:
    """All buckets of about `resolution_px` squared pixels, the squarest first: for each width the largest height.

    Args:
        resolution_px: side of the square bucket, a multiple of `multiple_px`.
        multiple_px: every side is a multiple of it.
        max_aspect: largest ratio of a bucket's longer side to its shorter one.

    Raises:
        ValueError: `resolution_px` is not a multiple of `multiple_px`.
    """
    if resolution_px % multiple_px:
        raise ValueError(f"a resolution of {resolution_px} px is not a multiple of {multiple_px} px")
    tall = [
        Bucket(resolution_px**2 // width // multiple_px * multiple_px, width)
        for width in range(multiple_px, resolution_px + 1, multiple_px)
    ]
    fitting = [bucket for bucket in tall if bucket.aspect <= max_aspect]
    both_ways = {*fitting, *(Bucket(bucket.width, bucket.height) for bucket in fitting)}
    return tuple(sorted(both_ways, key=lambda bucket: (abs(math.log(bucket.aspect)), -bucket.aspect)))


def choose_crop(
    buckets: tuple[Bucket, ...],
    width_px: int,
    height_px: int,
    keypoints_V2: NDArray[np.floating],
    person_box: Box | None = None,
) -> tuple[Bucket, Box]:
    """The bucket that cuts the least off a photo, and the part of the photo that fills it.

    Buckets are tried by closeness of aspect. The first one whose crop keeps all keypoints is taken, or the closest
    one if none does. The crop is as large as the photo allows, and centred on the person as far as that is possible.

    Args:
        buckets: from `make_buckets`.
        width_px: of the photo.
        height_px: of the photo.
        keypoints_V2: (V, 2): x, y of the visible keypoints in px of the photo, V >= 1.
        person_box: the person's box in px of the photo; it includes the hair, which has no keypoint.

    Returns:
        The bucket and the crop (x1, y1, x2, y2) in px of the photo, of exactly the bucket's aspect, inside
        the photo.
    """
    by_fit = sorted(buckets, key=lambda bucket: abs(math.log(height_px / width_px / bucket.aspect)))
    crops = [(bucket, _crop(bucket, width_px, height_px, keypoints_V2, person_box)) for bucket in by_fit]
    return next((each for each in crops if _holds(each[1], keypoints_V2)), crops[0])


def _crop(
    bucket: Bucket, width_px: int, height_px: int, keypoints_V2: NDArray[np.floating], person_box: Box | None
) -> Box:
    """The largest part of the photo with the bucket's aspect, around the person."""
    width = min(width_px, height_px / bucket.aspect)
    height = width * bucket.aspect
    low_xy, high_xy = keypoints_V2.min(axis=0), keypoints_V2.max(axis=0)
    box = person_box or (*low_xy, *high_xy)
    x = _place(width, width_px, (low_xy[0], high_xy[0]), (box[0], box[2]))
    y = _place(height, height_px, (low_xy[1], high_xy[1]), (box[1], box[3]))
    return x, y, min(x + width, width_px), min(y + height, height_px)


def _place(length: float, limit: float, needed: tuple[float, float], wanted: tuple[float, float]) -> float:
    """The start of a stretch of `length` within [0, limit]: centred on `wanted`, moved to include `needed`."""
    start = (wanted[0] + wanted[1] - length) / 2
    if needed[1] - needed[0] <= length:
        start = min(max(start, needed[1] - length), needed[0])
    return float(max(min(start, limit - length), 0.0))


def _holds(crop: Box, keypoints_V2: NDArray[np.floating]) -> bool:
    """True if all keypoints lie in the crop."""
    tolerance = 1e-3
    is_inside = (keypoints_V2 >= np.array(crop[:2]) - tolerance) & (
        keypoints_V2 <= np.array(crop[2:]) + tolerance
    )
    return bool(is_inside.all())
