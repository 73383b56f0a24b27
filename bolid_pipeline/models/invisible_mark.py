"""A mark inside a generated picture's pixels that nobody sees and a program finds.

48 fixed bits, each in several 8 x 8 px blocks of the blue-difference channel (wavelet, cosine transform, largest
singular value: `dwtDctSvd` of invisible-watermark). diffusers' SDXL uses the same package with `dwtDct`, which lost
a quarter of its bits on bodyworld's photos before any compression.

What it withstands, measured on bodyworld's photos (docs/generating.md): PNG at 64 px and more;
JPEG of quality 75 at 128 px and more; at 64 px JPEG of quality 85 mostly, of 75 about half of the time. It does not
withstand scaling, cropping, or somebody who wants it gone. Pictures of fewer than 48 blocks (under about 56 x 56 px)
are left as they are.
"""

import numpy as np
from imwatermark.dwtDctSvd import EmbedDwtDctSvd
from numpy.typing import NDArray
from PIL import Image

_BITS = np.unpackbits(np.frombuffer(b"BoLID1", np.uint8)).astype(bool)
_SCALES = [0, 36, 0]
_BLOCK_PX = 8
MIN_BITS_FOUND = 38
"""Of 48. An unmarked picture has this many by chance once in 30,000."""


def can_be_marked(image: Image.Image) -> bool:
    """Whether a picture has a block for every bit."""
    return (image.width // _BLOCK_PX) * (image.height // _BLOCK_PX) >= len(_BITS)


def add_mark(image: Image.Image) -> Image.Image:
    """A marked copy, RGB; a picture that is too small comes back unmarked."""
    if not can_be_marked(image):
        return image
    marked_bgr = _embedder().encode(_bgr(image))
    return Image.fromarray(np.rint(marked_bgr[..., ::-1].clip(0, 255)).astype(np.uint8))


def count_mark_bits(image: Image.Image) -> int:
    """How many of the mark's 48 bits a picture shows; about 24 where there is none."""
    if not can_be_marked(image):
        return 0
    return int((_embedder().decode(_bgr(image)) == _BITS).sum())


def has_mark(image: Image.Image) -> bool:
    """Whether a picture carries the mark."""
    return count_mark_bits(image) >= MIN_BITS_FOUND


def _embedder() -> EmbedDwtDctSvd:
    # The package's own front door refuses pictures under 256 x 256 px, which this algorithm does not need.
    return EmbedDwtDctSvd(_BITS.astype(int).tolist(), wmLen=len(_BITS), scales=_SCALES)


def _bgr(image: Image.Image) -> NDArray[np.float32]:
    """(H, W, 3) float32, OpenCV's order of channels."""
    return np.asarray(image.convert("RGB"), np.float32)[..., ::-1]
