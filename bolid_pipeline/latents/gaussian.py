"""Gaussian weighting of a picture by its keypoints: equations (11) to (13b) of the method.

Shapes: K keypoints, H x W pixels. Positions are (x, y) in pixels, x to the right, y downwards.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

SIGMA_FRACTION = 50 / 1024
"""The thesis' sigma of 50 px in a picture of 1024 px, as a fraction of the picture's side."""
ALPHA = 0.1
"""The thesis' weight of a pixel far from every keypoint."""


def sigma_px(height: int, width: int, sigma_fraction: float = SIGMA_FRACTION) -> float:
    """The Gaussians' width for a picture: a fraction of its side, where the side is the square root of its area."""
    return sigma_fraction * float(np.sqrt(height * width))


def weight_map(
    keypoints_K2: ArrayLike, is_visible_K: ArrayLike, height: int, width: int, sigma_px: float
) -> NDArray[np.float32]:
    """Closeness of each pixel to the visible keypoints: the normalised maximum of one Gaussian per keypoint.

        w_i(x, y) = exp(-((x - x_i)^2 + (y - y_i)^2) / (2 sigma^2))      (11)
        W(x, y)   = max_i w_i(x, y)                                      (12)
        W_norm    = W / max(W)                                           (13)

    Computed on the exponents: (12) is the smallest squared distance, and (13) a difference. So keypoints far outside
    of the picture do not underflow to 0 / 0.

    Args:
        keypoints_K2: (K, 2): x, y in px of the picture; they may lie outside of it.
        is_visible_K: (K,) bool; invisible keypoints take no part.
        height: of the picture, in px.
        width: of the picture, in px.
        sigma_px: the Gaussians' width.

    Returns:
        (H, W) float32 in [0, 1]; the largest value is 1.

    Raises:
        ValueError: no keypoint is visible, a visible one has no finite position, or sigma_px is not above 0.
    """
    if not sigma_px > 0:
        raise ValueError(f"sigma_px must be above 0, it is {sigma_px}")
    visible_V2 = np.asarray(keypoints_K2, np.float64).reshape(-1, 2)[np.asarray(is_visible_K, bool)]
    if not len(visible_V2):
        raise ValueError("no keypoint is visible: there is nothing to weight by")
    if not np.isfinite(visible_V2).all():
        raise ValueError("a visible keypoint has no finite position")
    squared_HW = np.full((height, width), np.inf)
    for x, y in visible_V2:
        dx2_W, dy2_H = np.square(np.arange(width) - x), np.square(np.arange(height) - y)
        np.minimum(squared_HW, dx2_W + dy2_H[:, None], out=squared_HW)
    return np.exp((squared_HW.min() - squared_HW) / (2 * sigma_px**2)).astype(np.float32)


def apply_weights(
    image: NDArray[Any], weights_HW: NDArray[np.floating], alpha: float = ALPHA
) -> NDArray[Any]:
    """Darken a picture away from its keypoints.

        I_w(x, y) = I(x, y) (alpha + (1 - alpha) W_norm(x, y))           (13b)

    Args:
        image: (H, W, C) or (H, W), of any number type; uint8 stays uint8, rounded.
        weights_HW: (H, W) in [0, 1].
        alpha: factor where the weight is 0, in [0, 1].

    Returns:
        The image's shape and type (float32 for integers other than uint8).
    """
    factors_HW = alpha + (1 - alpha) * np.asarray(weights_HW, np.float32)
    weighted = image * (factors_HW[..., None] if image.ndim == 3 else factors_HW)
    if image.dtype == np.uint8:
        return np.rint(weighted).astype(np.uint8)
    return weighted.astype(image.dtype if np.issubdtype(image.dtype, np.floating) else np.float32)
