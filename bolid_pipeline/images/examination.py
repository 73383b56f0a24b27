"""Facts of a photo of unknown origin, found in a worker process within limits of time and memory."""

from collections.abc import Collection
from dataclasses import dataclass

from bolid_pipeline.errors import PhotoRefused, TookTooLong, WorkerDied
from bolid_pipeline.images.decoding import probe
from bolid_pipeline.images.file_types import FileType
from bolid_pipeline.images.perceptual_hash import MIN_SIDE_PX, perceptual_hashes
from bolid_pipeline.workers import run_limited

SECONDS = 20.0
"""Processor time for one photo; the largest that are allowed take up to 4, and up to 9 as JPEG 2000."""


@dataclass(frozen=True, kw_only=True)
class PhotoFacts:
    """What the tables keep of a photo; names as in `raw_photos`."""

    width_px: int
    """Width and height are those that a person sees, with the EXIF orientation applied."""
    height_px: int
    content_type: str
    extension: str
    perceptual_hash: str
    mirrored_hash: str


def examine(
    data: bytes,
    types: Collection[FileType],
    max_pixels: int,
    *,
    min_side_px: int = 0,
    seconds: float = SECONDS,
) -> PhotoFacts:
    """The facts of the photo that `data` holds. May be called from any thread, and takes at most its time.

    Args:
        data: the bytes of a file.
        types: the file types to read, such as `file_types.SITE_TYPES`.
        max_pixels: a picture with more is refused without decoding it.
        min_side_px: a picture with a shorter side is refused as `too_small`.
        seconds: of processor time.

    Raises:
        PhotoRefused: with `too_small` or one of `refusals.REFUSALS` as its `reason`.
    """
    try:
        photo = run_limited(_facts, data, frozenset(types), max_pixels, seconds=seconds)
    except TookTooLong:
        raise PhotoRefused("took_too_long") from None
    except WorkerDied:
        raise PhotoRefused("crashed_decoder") from None
    except MemoryError:
        raise PhotoRefused("too_much_memory") from None
    if min(photo.width_px, photo.height_px) < min_side_px:
        raise PhotoRefused("too_small")
    return photo


def _facts(data: bytes, types: Collection[FileType], max_pixels: int) -> PhotoFacts:
    photo = probe(data, max_pixels, MIN_SIDE_PX, types=types)
    plain, mirrored = perceptual_hashes(photo.image)
    return PhotoFacts(
        width_px=photo.width_px,
        height_px=photo.height_px,
        content_type=photo.content_type,
        extension=photo.extension,
        perceptual_hash=plain,
        mirrored_hash=mirrored,
    )
