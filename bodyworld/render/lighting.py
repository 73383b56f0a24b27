"""Light on the drawn people, before they are laid over the background."""

from dataclasses import dataclass

import cv2
import numpy as np

from bodyworld.render.arrays import Floats, clamp
from bodyworld.render.rasteriser import Surface

_CHUNK = 32768  # pixels lit at a time: what fits into the cache


@dataclass(frozen=True, kw_only=True)
class Light:
    """The light of a photo."""

    direction: tuple[float, float, float]
    """Direction towards the light: x to the right, y up, z to the camera; of any length."""
    ambient: float
    """Share of the light that comes from everywhere, 0 to 1."""
    colour: Floats
    """(3,) colour of the light from the direction."""
    ambient_colour: Floats
    """(3,) colour of the light from everywhere."""


def composite(surface: Surface, background: Floats, light: Light) -> None:
    """Light the people and lay them over the background, (H, W, 3) float32 in [0, 1], in place."""
    touched = np.flatnonzero(surface.coverage > 0.01)
    occlusion = contact_shadow(surface).ravel()
    pixels = background.reshape(-1, 3)
    for first in range(0, touched.size, _CHUNK):
        flat = touched[first : first + _CHUNK]
        lit = _lit(np.ascontiguousarray(surface.layers[flat].T), occlusion[flat], light)
        alpha = surface.coverage[flat]
        old = pixels[flat]
        for channel in range(3):
            old[:, channel] += alpha * (lit[channel] - old[:, channel])
        pixels[flat] = old


def _lit(layers: Floats, occlusion_N: Floats, light: Light) -> tuple[Floats, ...]:
    """Red, green and blue of lit pixels; `layers` (7, N)."""
    x, y, z = layers[3:6]
    length = np.sqrt(x * x + y * y + z * z) + 1e-4
    x, y, z = x / length, y / length, z / length
    direction = np.array(light.direction, np.float32)
    direction = direction / np.linalg.norm(direction)
    halfway = direction + np.array([0, 0, 1], np.float32)
    halfway = halfway / np.linalg.norm(halfway)
    facing = x * direction[0] + y * direction[1] + z * direction[2]
    diffuse = clamp(facing * 0.72 + 0.28, 0.0, 1.0)
    diffuse *= np.sqrt(np.sqrt(diffuse))
    ambient = light.ambient * (0.86 + 0.14 * y) * (1.0 - 0.55 * occlusion_N) * (0.76 + 0.24 * z)
    key = (1.05 - 0.75 * light.ambient) * diffuse * (1.0 - 0.35 * occlusion_N)
    shine = clamp(x * halfway[0] + y * halfway[1] + z * halfway[2], 0.0, 1.0)
    for _ in range(4):
        shine *= shine  # to the power of 16
    shine *= layers[6] * 0.5 * (1.0 - occlusion_N)
    return tuple(
        layers[c] * (ambient * light.ambient_colour[c] + key * light.colour[c]) + shine * light.colour[c]
        for c in range(3)
    )


def contact_shadow(surface: Surface) -> Floats:
    """(H, W) float32 in [0, 1]: high where something nearer is close by, because limbs darken what they lie on."""
    owner = surface.owner_map()
    result = np.zeros(owner.shape, np.float32)
    columns = np.flatnonzero(owner.any(0))
    rows = np.flatnonzero(owner.any(1))
    if not rows.size:
        return result
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    depth, mask = surface.depth_map()[window], owner[window] > 0
    height, width = depth.shape
    shrink = min(1.0, 220.0 / max(height, width))
    size = (max(round(width * shrink), 1), max(round(height * shrink), 1))
    middle = float(np.median(depth[::4, ::4][mask[::4, ::4]])) if mask[::4, ::4].any() else 0.0
    small = cv2.resize(
        np.where(mask, depth, middle - 0.15).astype(np.float32), size, interpolation=cv2.INTER_AREA
    )
    total = np.zeros((height, width), np.float32)
    for sigma, gain in ((max(size) * 0.012, 7.0), (max(size) * 0.04, 3.0)):
        blurred = cv2.GaussianBlur(small, (0, 0), max(sigma, 0.5))
        total += clamp((cv2.resize(blurred, (width, height)) - depth) * gain - 0.05, 0.0, 0.6)
    result[window] = np.minimum(total, 0.9) * mask
    return result
