"""Photo bytes to pixels and back: decoding, a strict check of received bytes, resizing.

Images are (H, W, 3) uint8 RGB arrays with the EXIF orientation applied. So (x, y) in pixels is where a person sees it,
with x to the right and y downwards.
"""

import io
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import open as open_image  # ultralytics replaces Image.open when it is imported

from bolid_pipeline.errors import PhotoRefused, UnreadablePhoto

_logger = logging.getLogger(__name__)

Rgb = NDArray[np.uint8]
"""(H, W, 3), 0 to 255."""

REFUSALS = frozenset({"empty", "not_a_picture", "truncated", "unsupported_type", "too_many_pixels"})
"""The reasons for which `probe` refuses bytes; `truncated` means cut short or damaged inside."""

MAX_PIXELS = 40_000_000
"""Limit of the pixels of a photo. A small file with more was probably made to exhaust memory when decoded."""

LETTERBOX_GREY = 114
"""Value of R, G and B with which ultralytics fills up a photo to a square."""

_TYPES = {"JPEG": ("image/jpeg", "jpg"), "PNG": ("image/png", "png"), "WEBP": ("image/webp", "webp")}
_JPEG_MODES = ("RGB", "L")  # simplejpeg decodes these to the same RGB as PIL, but not CMYK
_EXIF_ORIENTATION = 0x0112
_ON_ITS_SIDE = (5, 6, 7, 8)
# EXIF orientation -> what turns the stored rows and columns upright (EXIF 2.32, 4.6.4). PIL's exif_transpose does the
# same to PIL images; these are arrays from simplejpeg.
_UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image.swapaxes(0, 1)[:, ::-1],
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: image.swapaxes(0, 1)[::-1],
}


@dataclass(frozen=True, kw_only=True)
class WholePhoto:
    """A photo whose bytes `probe` has found whole."""

    width_px: int
    """Width and height are those that a person sees, with the EXIF orientation applied."""
    height_px: int
    content_type: str
    extension: str
    image: Rgb
    """The photo, perhaps decoded at a smaller size."""


def probe(data: bytes, max_pixels: int = MAX_PIXELS, min_side_px: int | None = None) -> WholePhoto:
    """The photo that `data` holds, decoded to its last byte.

    A JPEG counts as whole only if libjpeg gives no warning, since PIL accepts overwritten bytes, and any damage to a
    CMYK file. Decoding to a smaller size reads every byte too, and so gives the same warnings.

    Args:
        data: the bytes of a file.
        max_pixels: a picture with more, by its header, is refused without decoding it.
        min_side_px: the image may be decoded smaller down to this shorter side. Full size by default.

    Raises:
        PhotoRefused: with one of REFUSALS as its `reason`.
    """
    if not data:
        raise PhotoRefused("empty")
    try:
        header = open_image(io.BytesIO(data))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PhotoRefused("too_many_pixels") from None
    except (OSError, ValueError, SyntaxError):
        raise PhotoRefused("truncated" if data.startswith(b"\xff\xd8\xff") else "not_a_picture") from None
    with header:
        if header.format not in _TYPES:
            raise PhotoRefused("unsupported_type")
        if header.width * header.height > max_pixels:
            raise PhotoRefused("too_many_pixels")
        try:
            if header.format == "JPEG" and header.mode not in _JPEG_MODES:
                simplejpeg.decode_jpeg(data)
            image = _decode(data, header, min_side_px)
            on_its_side = _orientation(header) in _ON_ITS_SIDE
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            raise PhotoRefused("truncated") from None
    content_type, extension = _TYPES[header.format]
    width_px, height_px = header.size[::-1] if on_its_side else header.size
    return WholePhoto(
        width_px=width_px,
        height_px=height_px,
        content_type=content_type,
        extension=extension,
        image=image,
    )


def decode_rgb(data: bytes, min_side_px: int | None = None, min_long_side_px: int | None = None) -> Rgb:
    """Decode a photo of any colour mode; transparency is laid over white, and 16 bits are cut to 8.

    With a limit, a JPEG is decoded at 1/2, 1/4 or 1/8 of its size, which is faster.

    Args:
        data: the bytes of a picture.
        min_side_px: the shorter side of the result is at least this, if the photo's is. Full size by default.
        min_long_side_px: the same for the longer side.

    Raises:
        UnreadablePhoto: the bytes are cut short, or are not a picture.
    """
    try:
        with open_image(io.BytesIO(data)) as picture:
            return _decode(data, picture, min_side_px, min_long_side_px)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadablePhoto(f"{len(data)} bytes cannot be decoded: {error}") from error


def decode_many(
    read: Callable[[str], bytes],
    paths: Sequence[str],
    min_side_px: int | None = None,
    min_long_side_px: int | None = None,
) -> list[Rgb | None]:
    """Read and decode photos in threads; the decoders release the interpreter's lock.

    Args:
        read: path to bytes, like `PhotoStore.read`.
        paths: what to read.
        min_side_px: as in `decode_rgb`.
        min_long_side_px: as in `decode_rgb`.

    Returns:
        One image per path. A photo that is missing or unreadable gives None and a line in the log.
    """

    def decode(path: str) -> Rgb | None:
        try:
            return decode_rgb(read(path), min_side_px, min_long_side_px)
        except (UnreadablePhoto, OSError) as error:
            _logger.warning("%s: %s", path, error)
            return None

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(decode, paths))


def resize_to(
    image: Rgb, height: int, width: int, box_xyxy: tuple[float, float, float, float] | None = None
) -> Rgb:
    """Resize by averaging the area that each new pixel covers, or bicubically if the picture grows.

    Args:
        image: (H, W, 3) uint8.
        height: of the result, in px.
        width: of the result, in px.
        box_xyxy: the part of `image` to take, in its px (fractions allowed), cut off at the image's border; all of
            it by default.
    """
    left, top, right, bottom = box = _clip(box_xyxy, image.shape[0], image.shape[1])
    is_smaller = width < right - left or height < bottom - top
    kernel = Image.Resampling.BOX if is_smaller else Image.Resampling.BICUBIC
    return np.array(Image.fromarray(image).resize((width, height), kernel, box=box))


def encode_jpeg(image: Rgb, quality: int = 90) -> bytes:
    """JPEG bytes of an (H, W, 3) uint8 image; quality 1 to 100."""
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=quality, colorsubsampling="420")


def _clip(
    box_xyxy: tuple[float, float, float, float] | None, height: int, width: int
) -> tuple[float, float, float, float]:
    """The part of the box that is inside a picture of this size; the whole picture for None."""
    left, top, right, bottom = box_xyxy or (0, 0, width, height)
    return max(left, 0), max(top, 0), min(right, width), min(bottom, height)


def _decode(
    data: bytes, picture: Image.Image, min_side_px: int | None, min_long_side_px: int | None = None
) -> Rgb:
    """The pixels of an opened picture. Raises whatever PIL and simplejpeg raise."""
    if picture.format == "JPEG" and picture.mode in _JPEG_MODES:
        factor = _decode_factor(picture.size, min_side_px, min_long_side_px)
        min_height = -(-picture.height // factor) if factor > 1 else 0
        image = simplejpeg.decode_jpeg(data, min_height=min_height)
    else:
        image = np.array(_to_rgb(picture))
    upright = _UPRIGHT.get(_orientation(picture))
    return np.ascontiguousarray(upright(image) if upright else image)


def _orientation(picture: Image.Image) -> int:
    return int(picture.getexif().get(_EXIF_ORIENTATION, 1))


def _decode_factor(size_wh: tuple[int, int], min_side_px: int | None, min_long_side_px: int | None) -> int:
    """The divisor of a JPEG's size that keeps both limits: 8, 4, 2, or 1 for full size."""
    limits = [
        (side, minimum)
        for side, minimum in ((min(size_wh), min_side_px), (max(size_wh), min_long_side_px))
        if minimum is not None
    ]
    fitting = (f for f in (8, 4, 2) if all(side // f >= minimum for side, minimum in limits))
    return next(fitting, 1) if limits else 1


def _to_rgb(picture: Image.Image) -> Image.Image:
    """The picture in mode RGB, from any mode."""
    if picture.mode.startswith("I;16") or picture.mode == "I":
        return Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if "A" in picture.getbands() or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return picture.convert("RGB")
