"""A mark in the pixels of a generated picture that nobody sees and a program finds.

It consists of 48 fixed bits, each written into several 8 x 8 px blocks of the blue-difference channel (wavelet, cosine
transform, largest singular value: `dwtDctSvd` of invisible-watermark). diffusers' SDXL uses the same package with
`dwtDct`, which lost a quarter of its bits on bodyworld's photos before any compression.

Measured on bodyworld's photos (docs/generating.md), the mark survives PNG from 64 px on and JPEG of quality 75 from
128 px on. At 64 px it mostly survives JPEG of quality 85, and quality 75 about half of the time. It does not survive
scaling, cropping, or somebody who wants it gone. Pictures with fewer than 48 blocks (under about 56 x 56 px) stay
unmarked.
"""

import numpy as np
from imwatermark.dwtDctSvd import EmbedDwtDctSvd
from numpy.typing import NDArray
from PIL import Image

_BITS = np.unpackbits(np.frombuffer(b"BoLID1", np.uint8)).astype(bool)
_SCALES = [0, 36, 0]
_BLOCK_PX = 8
MIN_BITS_FOUND = 38
"""Bits, of 48, that count as a mark found. One unmarked picture in 30,000 has this many by chance."""


def can_be_marked(image: Image.Image) -> bool:
    """True if a picture is large enough to have a block for every bit."""
    return (image.width // _BLOCK_PX) * (image.height // _BLOCK_PX) >= len(_BITS)


def add_mark(image: Image.Image) -> Image.Image:
    """Return a marked copy in RGB, or the picture itself if it is too small for a mark."""
    if not can_be_marked(image):
        return image
    marked_bgr = _embedder().encode(_bgr(image))
    return Image.fromarray(np.rint(marked_bgr[..., ::-1].clip(0, 255)).astype(np.uint8))


def count_mark_bits(image: Image.Image) -> int:
    """Count the bits of the mark, of 48, that a picture shows; an unmarked picture shows about 24."""
    if not can_be_marked(image):
        return 0
    return int((_embedder().decode(_bgr(image)) == _BITS).sum())


def has_mark(image: Image.Image) -> bool:
    """True if a picture carries the mark."""
    return count_mark_bits(image) >= MIN_BITS_FOUND


def _embedder() -> EmbedDwtDctSvd:
    # `imwatermark.WatermarkEncoder` refuses pictures under 256 x 256 px; the algorithm behind it does not.
    return EmbedDwtDctSvd(_BITS.astype(int).tolist(), wmLen=len(_BITS), scales=_SCALES)


def _bgr(image: Image.Image) -> NDArray[np.float32]:
    """(H, W, 3) float32 in [0, 255], channels in OpenCV's order."""
    return np.asarray(image.convert("RGB"), np.float32)[..., ::-1]
