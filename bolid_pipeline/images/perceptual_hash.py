"""Hashes of a photo and of its mirror image, which differ in few bits between near duplicates."""

import imagehash
import numpy as np
from PIL import Image

from bolid_pipeline.images.decoding import Rgb

_SIDE = 16
HASH_BITS = _SIDE * _SIDE
"""One bit per DCT coefficient of a square."""
MIN_SIDE_PX = 128
"""Twice the side that the hash looks at; a JPEG may be decoded down to it."""


def perceptual_hashes(image: Rgb) -> tuple[str, str]:
    """The DCT hash (pHash) of a photo and of its mirror image, 256 bits each as 64 hex digits.

    Args:
        image: (H, W, 3) uint8; its shorter side at least MIN_SIDE_PX if the photo is that large.
    """
    # `phash` would begin with this for each of the two.
    small = Image.fromarray(image).convert("L").resize((4 * _SIDE, 4 * _SIDE), Image.Resampling.LANCZOS)
    return _hash(small), _hash(small.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def _hash(image: Image.Image) -> str:
    """The hex digits that `str` of an ImageHash gives."""
    # Packing the bits here takes a tenth of the time of `str`.
    return np.packbits(imagehash.phash(image, _SIDE).hash).tobytes().hex()


def as_words(hashes: list[str]) -> np.ndarray:
    """Hashes of 64 hex digits as an (N, 4) uint64 array, one row per hash."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), np.uint64).reshape(-1, HASH_BITS // 64)
