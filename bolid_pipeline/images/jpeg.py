"""JPEG to pixels by libjpeg-turbo, which is strict about damage and can decode at a fraction of the size."""

import simplejpeg
from PIL import Image

from bolid_pipeline.images.upright import Rgb, orientation, turned, upright_rgb

_JPEG_MODES = ("RGB", "L")  # simplejpeg decodes these to the same RGB as PIL, but not CMYK
_ON_ITS_SIDE = (5, 6, 7, 8)


def decode_jpeg(
    data: bytes, picture: Image.Image, min_side_px: int | None, min_long_side_px: int | None
) -> tuple[Rgb, tuple[int, int]]:
    """The pixels of a JPEG, perhaps smaller than its upright size (width, height). Raises ValueError for damage."""
    turn = orientation(picture)
    width, height = picture.size
    size_wh = (height, width) if turn in _ON_ITS_SIDE else (width, height)
    if picture.mode not in _JPEG_MODES:
        simplejpeg.decode_jpeg(data)
        return upright_rgb(picture), size_wh
    factor = _decode_factor(picture.size, min_side_px, min_long_side_px)
    min_height = -(-picture.height // factor) if factor > 1 else 0
    return turned(simplejpeg.decode_jpeg(data, min_height=min_height), turn), size_wh


def _decode_factor(size_wh: tuple[int, int], min_side_px: int | None, min_long_side_px: int | None) -> int:
    """The divisor of a JPEG's size that keeps both limits: 8, 4, 2, or 1 for full size."""
    limits = [
        (side, minimum)
        for side, minimum in ((min(size_wh), min_side_px), (max(size_wh), min_long_side_px))
        if minimum is not None
    ]
    fitting = (f for f in (8, 4, 2) if all(side // f >= minimum for side, minimum in limits))
    return next(fitting, 1) if limits else 1
