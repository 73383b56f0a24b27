"""Hashes of a photo and of its mirror image, which differ in few bits between near duplicates."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bolid_pipeline.images.decoding import Rgb

_SIDE = 16
_PIXELS = 4 * _SIDE
HASH_BITS = _SIDE * _SIDE
"""One bit per DCT coefficient of a square."""
MIN_SIDE_PX = 96
"""Half as much again as the side that the hash looks at; a JPEG may be decoded down to it."""

# Type II: row k is the cosine of k half waves over the pixels.
_DCT = 2 * np.cos(np.pi / _PIXELS * np.outer(np.arange(_SIDE), np.arange(_PIXELS) + 0.5))
# In a mirror, cosines of an odd number of half waves change their sign.
_MIRROR = 1 - 2 * (np.arange(_SIDE) % 2)
_DECIMALS = 6
"""Coefficients that are equal but for rounding, as those of a plain surface are, give equal bits."""


def perceptual_hashes(image: Rgb) -> tuple[str, str]:
    """The DCT hash (pHash) of a photo and of its mirror image, 256 bits each as 64 hex digits.

    The bits are those of `imagehash.phash(image, 16)`, which would make a transform for each of the two.

    Args:
        image: (H, W, 3) uint8; its shorter side at least MIN_SIDE_PX if the photo is that large.
    """
    grey = Image.fromarray(image).convert("L").resize((_PIXELS, _PIXELS), Image.Resampling.LANCZOS)
    coefficients = (_DCT @ np.asarray(grey, np.float64) @ _DCT.T).round(_DECIMALS)
    return _hash(coefficients), _hash(coefficients * _MIRROR)


def _hash(coefficients: NDArray[np.float64]) -> str:
    """A bit for each coefficient, which says whether it is in the upper half, as hex digits."""
    largest_of_lower_half = np.partition(coefficients, HASH_BITS // 2 - 1, axis=None)[HASH_BITS // 2 - 1]
    return np.packbits(coefficients > largest_of_lower_half).tobytes().hex()


def as_words(hashes: list[str]) -> np.ndarray:
    """Hashes of 64 hex digits as an (N, 4) uint64 array, one row per hash."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), np.uint64).reshape(-1, HASH_BITS // 64)
