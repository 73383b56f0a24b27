"""A hash that near duplicates nearly share, and the same of the mirrored photo."""

import imagehash
import numpy as np
from PIL import Image

from bolid_pipeline.images import decode_rgb

HASH_BITS = 256
_SIDE = 16  # of the square of DCT coefficients: HASH_BITS = 16 * 16
_MIN_SIDE_PX = 128  # twice what the hash looks at; a JPEG is decoded no larger than needed


def perceptual_hashes(data: bytes) -> tuple[str, str]:
    """The DCT hash (pHash) of a photo and of its mirror image, 256 bits each as 64 hex digits.

    Raises:
        UnreadablePhoto: the bytes are no picture.
    """
    image = Image.fromarray(decode_rgb(data, min_side_px=_MIN_SIDE_PX)).convert("L")
    image = image.resize(
        (4 * _SIDE, 4 * _SIDE), Image.Resampling.LANCZOS
    )  # what phash does first, once for both
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return str(imagehash.phash(image, _SIDE)), str(imagehash.phash(mirrored, _SIDE))


def as_words(hashes: list[str]) -> np.ndarray:
    """Hex digits to (N, 4) uint64: one row per hash."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), np.uint64).reshape(-1, HASH_BITS // 64)
