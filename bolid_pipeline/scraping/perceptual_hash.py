"""A hash that near duplicates share, or nearly so."""

import imagehash
from PIL import Image

from bolid_pipeline.images import decode_rgb

_MIN_SIDE_PX = 64  # twice what the hash looks at; a JPEG is decoded no larger than needed


def perceptual_hash(data: bytes) -> str:
    """The 64-bit DCT hash (pHash) of a photo as 16 hex digits; alike photos differ in few bits.

    Raises:
        UnreadablePhoto: the bytes are no picture.
    """
    return str(imagehash.phash(Image.fromarray(decode_rgb(data, min_side_px=_MIN_SIDE_PX))))
