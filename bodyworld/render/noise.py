"""Smooth noise for skin, hair and cloth."""

from functools import cache

import cv2
import numpy as np

from bodyworld.render.arrays import Floats


@cache
def noise_tile(seed: int = 0, size: int = 256) -> Floats:
    """(size, size) float32: noise of mean 0 and deviation 1 that repeats without a seam."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size), np.float32)
    for sigma, weight in ((1.5, 0.5), (4.0, 0.8), (12.0, 1.0)):
        grain = np.tile(rng.standard_normal((size, size)).astype(np.float32), (3, 3))
        smooth = cv2.GaussianBlur(grain, (0, 0), sigma)[size : 2 * size, size : 2 * size]
        total += weight * smooth / smooth.std()
    return (total - total.mean()) / total.std()


def sample_noise(x_N: Floats, y_N: Floats, seed: int = 0) -> Floats:
    """Noise at points given in tiles (1.0 = one whole tile), same shape as `x_N`."""
    tile = noise_tile(seed)
    mask = tile.shape[0] - 1
    columns = (x_N * tile.shape[1]).astype(np.int32) & mask
    rows = (y_N * tile.shape[0]).astype(np.int32) & mask
    return tile.ravel().take(rows * tile.shape[1] + columns)
