"""A Pillow picture as pixels: upright, over white, 8 bits."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bolid_pipeline.errors import PhotoRefused, UnreadablePhoto
from bolid_pipeline.images.refusals import words_for

Rgb = NDArray[np.uint8]
"""(H, W, 3), 0 to 255."""

_EXIF_ORIENTATION = 0x0112
_TIFF_BITS, _TIFF_COLOURS, _WHITE_IS_ZERO = 258, 262, 0
_STRIP_ROWS = 256
"""Rows that are converted at a time: the copies of a whole large picture would take four times its memory."""

# EXIF orientation -> what turns the stored rows and columns upright (EXIF 2.32, 4.6.4). PIL's exif_transpose does the
# same to PIL images; these are arrays, some from simplejpeg.
_UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image.swapaxes(0, 1)[:, ::-1],
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: image.swapaxes(0, 1)[::-1],
}


def upright_rgb(picture: Image.Image) -> Rgb:
    """The pixels of a picture in any mode, turned as its EXIF orientation says, transparency over white.

    Raises:
        PhotoRefused: `unsupported_type` for a mode whose values have no known range.
        Exception: whatever Pillow raises for a damaged file.
    """
    picture.load()  # first, since Pillow turns a TIFF upright here
    width, height = picture.size
    num_bits = _num_bits(picture)
    image = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, height)
        image[top:bottom] = _to_rgb(picture.crop((0, top, width, bottom)), num_bits)
    if _is_negative(picture):
        np.subtract(255, image, out=image)
    return turned(image, orientation(picture))


def upright_picture(picture: Image.Image) -> Image.Image:
    """The same for a picture that somebody has opened with Pillow, as a picture in RGB.

    Raises:
        UnreadablePhoto: the pixels cannot be read; the message names the file if there is one.
    """
    name = getattr(picture, "filename", None) or "a picture without a file"
    try:
        return Image.fromarray(upright_rgb(picture))
    except PhotoRefused as refusal:
        raise UnreadablePhoto(f"{name} cannot be read as a picture: {words_for(refusal)}") from refusal
    except Exception as error:
        raise UnreadablePhoto(f"{name} cannot be read as a picture: {error}") from error


def turned(image: Rgb, orientation: int) -> Rgb:
    """Stored pixels turned upright; contiguous."""
    upright = _UPRIGHT.get(orientation)
    return np.ascontiguousarray(upright(image) if upright else image)


def orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 for none, and for one that is damaged or of another type than a number."""
    try:
        value = picture.getexif().get(_EXIF_ORIENTATION)
    except Exception:  # noqa: BLE001 - Pillow's parsers of metadata raise many types
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def _to_rgb(picture: Image.Image, num_bits: int) -> NDArray[np.uint8]:
    """(H, W, 3) from any mode; `num_bits` of a grey value in modes of 16 bits."""
    if picture.mode in ("I", "F", "LAB", "HSV"):
        raise PhotoRefused("unsupported_type", f"a picture in mode {picture.mode}: convert it to 8 bits RGB")
    if picture.mode.startswith("I;16"):
        return _from_16_bits(picture, num_bits)
    if picture.has_transparency_data:
        rgba = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba)
        picture = white
    return np.asarray(picture.convert("RGB"))


def _from_16_bits(picture: Image.Image, num_bits: int) -> NDArray[np.uint8]:
    grey = np.asarray(picture)
    clear = picture.info.get("transparency")
    narrow = (grey >> (num_bits - 8)).clip(0, 255).astype(np.uint8)
    if isinstance(clear, int):
        narrow[grey == clear] = 255
    return np.repeat(narrow[..., None], 3, axis=2)


def _num_bits(picture: Image.Image) -> int:
    """Bits per sample: 16, or fewer by a TIFF's header."""
    (bits, *_) = getattr(picture, "tag_v2", {}).get(_TIFF_BITS, (16,))
    return bits if 8 <= bits <= 16 else 16


def _is_negative(picture: Image.Image) -> bool:
    """True for a TIFF of 16 bits whose 0 is white: Pillow turns only 8 bits of that kind round."""
    tags = getattr(picture, "tag_v2", {})
    return picture.mode.startswith("I;16") and tags.get(_TIFF_COLOURS) == _WHITE_IS_ZERO
