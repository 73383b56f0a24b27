"""Photo bytes to pixels and back: the one reader of pictures, resizing, and JPEG writing.

The crawl, the stages, the pipelines and the command line all read pictures here. Images are (H, W, 3) uint8 RGB arrays
with the EXIF orientation applied. So (x, y) in pixels is where a person sees it, with x to the right and y downwards.
"""

import io
import logging
import math
import os
import warnings
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import AvifImagePlugin, Image
from PIL.Image import open as open_image  # ultralytics replaces Image.open when it is imported

from bolid_pipeline.errors import PhotoRefused, UnreadablePhoto
from bolid_pipeline.images.file_types import (
    ALL_TYPES,
    HEIC,
    JPEG,
    JPEG_2000,
    TIFF,
    FileType,
    name_of_other,
    type_of,
)
from bolid_pipeline.images.jpeg import decode_jpeg
from bolid_pipeline.images.metadata import jpeg_bits, num_scans, without_metadata
from bolid_pipeline.images.refusals import words_for
from bolid_pipeline.images.upright import Rgb, upright_rgb

_logger = logging.getLogger(__name__)

MAX_PIXELS = 40_000_000
"""Limit of the pixels of a photo. A small file with more was probably made to exhaust memory when decoded."""

MAX_SCANS = 100
"""Limit of the scans of a JPEG; an encoder writes about ten. Each costs the time of a whole decoding."""

LETTERBOX_GREY = 114
"""Value of R, G and B with which ultralytics fills up a photo to a square."""

_MAX_JPEG_2000_PIXELS = 24_000_000  # its decoder takes 22 bytes and 0.4 us for each
_DNG_VERSION, _SUBFILE_TYPE, _THUMBNAIL = 50706, 254, 1

# Pillow warns of odd metadata without naming the file; what matters here is refused with a reason.
warnings.filterwarnings("ignore", module=r"PIL\.")
# The callers' threads use the cores; the threads of each decoder would only cost memory.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


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


def probe(
    data: bytes,
    max_pixels: float = MAX_PIXELS,
    min_side_px: int | None = None,
    min_long_side_px: int | None = None,
    types: Collection[FileType] = ALL_TYPES,
) -> WholePhoto:
    """The photo that `data` holds, decoded to its last byte; of several pictures in a file, the first.

    A JPEG counts as whole only if libjpeg gives no warning, since PIL accepts overwritten bytes, and any damage to a
    CMYK file. Decoding to a smaller size reads every byte too, and so gives the same warnings. Damage of what is not
    pixels (colour profile, Exif, texts) is no damage of the photo.

    Args:
        data: the bytes of a file.
        max_pixels: a picture with more, by its header, is refused without decoding it.
        min_side_px: a JPEG may be decoded at 1/2, 1/4 or 1/8 down to this shorter side. Full size by default.
        min_long_side_px: the same for the longer side.
        types: the file types to read.

    Raises:
        PhotoRefused: with one of `refusals.REFUSALS` as its `reason`.
    """
    file_type = _known_type(data, types)
    # Two bytes can say "a scan" by chance, in a thumbnail or behind the picture; so the exact count is for the few.
    if file_type is JPEG and data.count(b"\xff\xda") > MAX_SCANS and num_scans(data) > MAX_SCANS:
        raise PhotoRefused("too_many_scans")
    try:
        return _read(data, file_type, max_pixels, min_side_px, min_long_side_px)
    except PhotoRefused as refusal:
        if refusal.reason != "truncated":
            raise
        if file_type is JPEG and (bits := jpeg_bits(data)) != 8:
            raise PhotoRefused("unsupported_type", f"a JPEG of {bits} bits: convert it to 8 bits") from None
        bare = without_metadata(data, file_type)
        if bare == data:
            raise
        return _read(bare, file_type, max_pixels, min_side_px, min_long_side_px)


def decode_rgb(data: bytes, min_side_px: int | None = None, min_long_side_px: int | None = None) -> Rgb:
    """Decode a picture of any type, size and colour mode; transparency is laid over white, and 16 bits are cut to 8.

    With a limit, a JPEG is decoded at 1/2, 1/4 or 1/8 of its size, which is faster.

    Args:
        data: the bytes of a picture.
        min_side_px: the shorter side of the result is at least this, if the photo's is. Full size by default.
        min_long_side_px: the same for the longer side.

    Raises:
        UnreadablePhoto: the bytes are cut short, or are not a picture.
    """
    try:
        return probe(data, math.inf, min_side_px, min_long_side_px).image
    except PhotoRefused as refusal:
        raise UnreadablePhoto(f"{len(data)} bytes cannot be decoded: {words_for(refusal)}") from refusal


def read_picture(path: Path) -> Image.Image:
    """The picture in a file that a person names, in RGB and upright.

    Raises:
        UnreadablePhoto: the file cannot be read or holds no whole picture; the message names it.
    """
    try:
        return Image.fromarray(probe(path.read_bytes(), math.inf).image)
    except OSError as error:
        raise UnreadablePhoto(f"{path} cannot be read: {error.strerror or error}") from error
    except PhotoRefused as refusal:
        raise UnreadablePhoto(f"{path} cannot be read as a picture: {words_for(refusal)}") from refusal


def decode_stored(
    read: Callable[[str], bytes],
    path: str,
    min_side_px: int | None = None,
    min_long_side_px: int | None = None,
) -> Rgb | None:
    """Read and decode a photo; None, and a line in the log, for one that is missing or unreadable.

    Args:
        read: path to bytes, like `PhotoStore.read`.
        path: what to read.
        min_side_px: as in `decode_rgb`.
        min_long_side_px: as in `decode_rgb`.
    """
    try:
        return decode_rgb(read(path), min_side_px, min_long_side_px)
    except (UnreadablePhoto, OSError) as error:
        _logger.warning("%s: %s", path, error)
        return None


def decode_many(
    read: Callable[[str], bytes],
    paths: Sequence[str],
    min_side_px: int | None = None,
    min_long_side_px: int | None = None,
) -> list[Rgb | None]:
    """`decode_stored` for each path, in threads; the decoders release the interpreter's lock."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda path: decode_stored(read, path, min_side_px, min_long_side_px), paths))


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


def _known_type(data: bytes, types: Collection[FileType]) -> FileType:
    """The file's type by its first bytes. Raises PhotoRefused unless it is among `types`."""
    if not data:
        raise PhotoRefused("empty")
    file_type = type_of(data)
    if file_type is not None and file_type in types:
        return file_type
    name = file_type.content_type if file_type else name_of_other(data)
    if name is None:
        raise PhotoRefused("not_a_picture")
    raise PhotoRefused("unsupported_type", f"{name}, which is not read here: convert it to JPEG or PNG")


def _read(
    data: bytes,
    file_type: FileType,
    max_pixels: float,
    min_side_px: int | None,
    min_long_side_px: int | None,
) -> WholePhoto:
    """The photo, or PhotoRefused for whatever a decoder raises."""
    if file_type is HEIC:
        _register_heic()
    try:
        with open_image(io.BytesIO(data), formats=file_type.formats) as picture:
            _check_header(data, file_type, picture, max_pixels)
            if file_type is JPEG:
                image, (width_px, height_px) = decode_jpeg(data, picture, min_side_px, min_long_side_px)
            else:
                image = upright_rgb(picture)
                height_px, width_px = image.shape[:2]
    except PhotoRefused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PhotoRefused("too_many_pixels") from None
    except MemoryError:
        raise PhotoRefused("too_much_memory") from None
    except (
        Exception
    ) as error:  # decoders raise what they like: AVIF's RuntimeError, struct.error for metadata
        raise PhotoRefused("truncated") from error
    return WholePhoto(
        width_px=width_px,
        height_px=height_px,
        content_type=file_type.content_type,
        extension=file_type.extension,
        image=image,
    )


@cache
def _register_heic() -> None:
    """Let Pillow read HEIC. Here, since the import takes 0.2 s, and few files need it."""
    try:
        import pi_heif
    except ImportError as error:
        raise PhotoRefused(
            "unsupported_type", f"HEIC, whose decoder cannot be loaded ({error}): convert it to JPEG"
        ) from error
    pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


def _check_header(data: bytes, file_type: FileType, picture: Image.Image, max_pixels: float) -> None:
    """Raise PhotoRefused for an opened picture that is not to be decoded."""
    if picture.width * picture.height > max_pixels:
        raise PhotoRefused("too_many_pixels")
    if file_type is JPEG_2000 and picture.width * picture.height > _MAX_JPEG_2000_PIXELS:
        raise PhotoRefused(
            "too_many_pixels",
            f"a JPEG 2000 of more than {_MAX_JPEG_2000_PIXELS:,} pixels: convert it to JPEG",
        )
    if file_type is TIFF:
        tags = getattr(picture, "tag_v2", {})
        if data[8:10] == b"CR" or _DNG_VERSION in tags or tags.get(_SUBFILE_TYPE, 0) & _THUMBNAIL:
            # Its first picture is a preview; what the sensor saw needs a program of its own.
            raise PhotoRefused("unsupported_type", "a camera's raw file: convert it to JPEG")
