"""A hash that near duplicates nearly share, and the same of the mirrored photo."""

import imagehash
import numpy as np
from PIL import Image

from bolid_pipeline.images import Rgb

HASH_BITS = 256
_SIDE = 16  # of the square of DCT coefficients: HASH_BITS = 16 * 16
MIN_SIDE_PX = 128
"""Twice what the hash looks at: a JPEG need be decoded no larger."""


def perceptual_hashes(image: Rgb) -> tuple[str, str]:
    """The DCT hash (pHash) of a photo and of its mirror image, 256 bits each as 64 hex digits.

    Args:
        image: (H, W, 3) uint8; the shorter side at least MIN_SIDE_PX, if the photo has them.
    """
    small = Image.fromarray(image).convert("L")
    small = small.resize(
        (4 * _SIDE, 4 * _SIDE), Image.Resampling.LANCZOS
    )  # what phash does first, once for both
    return _hash(small), _hash(small.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def _hash(image: Image.Image) -> str:
    """The digits that `str` of an ImageHash gives, in a tenth of the time."""
    return np.packbits(imagehash.phash(image, _SIDE).hash).tobytes().hex()


def as_words(hashes: list[str]) -> np.ndarray:
    """Hex digits to (N, 4) uint64: one row per hash."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), np.uint64).reshape(-1, HASH_BITS // 64)
