"""A tiny rasteriser: swept shapes with a profile, written into a z-buffered surface and lit afterwards.

World space is in metres: x to the right of the picture, y up, z towards the camera. Pictures are in pixels, y down.
Suffixes: `_N` one number per touched pixel, `_N3` with three channels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32 in practice; numpy types mixed sums as float64
TABLE_SIZE = 128
FINE_PX_PER_METRE = 150.0  # from here on fingers are drawn one by one
_NEW_PIXEL = 1e-4
_CHUNK = 32768  # pixels lit at a time: what fits into the cache
_PAD = 8
_PADDED_STEPS = (np.arange(TABLE_SIZE + 2 * _PAD) - _PAD) / (TABLE_SIZE - 1)
_SMOOTH = np.hanning(13)[1:-1] / np.hanning(13)[1:-1].sum()


@dataclass(frozen=True, kw_only=True)
class Patch:
    """The touched pixels of one shape, for its paint.

    `t_N` 0..1 along the axis (below 0 and above 1 in round caps), `u_N` -1..1 across it, `radius_N` local half width in
    metres, `length_m` of the axis as drawn, `metres_per_px`.
    """

    t_N: Floats
    u_N: Floats
    radius_N: Floats
    length_m: float
    metres_per_px: float


@dataclass(frozen=True, kw_only=True)
class Coat:
    """What a paint returns: `rgb_N3` (or (3,)), `opacity_N` or None for opaque, `gloss` 0..1 (or one per pixel)."""

    rgb_N3: Floats
    opacity_N: Floats | None = None
    gloss: Floats | float = 0.0


Paint = Callable[[Patch], Coat]


@dataclass(frozen=True, kw_only=True)
class Lathe:
    """A shape swept along a straight axis from `start` to `end`, both (3,) in metres.

    `left_m` and `right_m` are (TABLE_SIZE,) half widths seen along the axis as it goes up the picture (for an axis that
    goes down, they swap); `depth_m` is the extent towards the camera. Ends are round or, with `is_flat_*`, cut.
    `detail`: "fine" and "coarse" shapes are drawn only above or below `FINE_PX_PER_METRE`, "any" always.
    """

    start: Floats
    end: Floats
    left_m: Floats
    right_m: Floats
    depth_m: Floats
    paint: Paint
    is_flat_start: bool = False
    is_flat_end: bool = False
    z_bias_m: float = 0.0
    detail: str = "any"


@dataclass(frozen=True, kw_only=True)
class View:
    """Weak perspective: x_px = centre_x_px + scale * x, y_px = centre_y_px - scale * y."""

    scale: float
    centre_x_px: float
    centre_y_px: float

    def to_px(self, points: Floats) -> Floats:
        """(..., 3) metres -> (..., 2) float32 pixels."""
        result = points[..., :2] * np.array((self.scale, -self.scale), np.float32)
        result += np.array((self.centre_x_px, self.centre_y_px), np.float32)
        return result.astype(np.float32)


class Surface:
    """What the camera sees of the people before light: colour, normal, gloss, coverage, depth, and whose it is."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.layers = np.zeros((height * width, 7), np.float32)  # red, green, blue, normal x, y, z, gloss
        self.coverage = np.zeros(height * width, np.float32)
        self.depth = np.full(height * width, -1e3, np.float32)
        self.owner = np.zeros(height * width, np.uint8)

    def depth_map(self) -> Floats:
        """(H, W) float32 metres towards the camera; -1000 where nobody is."""
        return self.depth.reshape(self.height, self.width)

    def owner_map(self) -> NDArray[np.uint8]:
        """(H, W) uint8: 0 nobody, p + 1 person p."""
        return self.owner.reshape(self.height, self.width)


@dataclass(frozen=True, kw_only=True)
class _Footprint:
    """The pixels a shape touches and lies nearest in: place in the picture and on the shape."""

    flat: NDArray[np.intp]
    index: NDArray[np.int32]
    t_N: Floats
    u_N: Floats
    cap_N: Floats
    bulge_N: Floats
    radius_N: Floats
    depth_N: Floats
    alpha_N: Floats


def draw(surface: Surface, view: View, lathe: Lathe, owner: int) -> None:
    """Rasterise one shape into the surface, a band of rows at a time."""
    if lathe.detail != "any" and (lathe.detail == "fine") != (view.scale >= FINE_PX_PER_METRE):
        return
    start, end = view.to_px(lathe.start), view.to_px(lathe.end)
    reach = float(max(lathe.left_m.max(), lathe.right_m.max())) * view.scale + 1.0
    x0, x1 = _clip_span(start[0], end[0], reach, surface.width)
    y0, y1 = _clip_span(start[1], end[1], reach, surface.height)
    if x0 >= x1:
        return
    height = max(_CHUNK // (x1 - x0), 1)
    for top in range(y0, y1, height):
        _draw_band(surface, view, lathe, owner, (x0, top, x1, min(top + height, y1)), start, end)


def _draw_band(
    surface: Surface,
    view: View,
    lathe: Lathe,
    owner: int,
    box: tuple[int, int, int, int],
    start: Floats,
    end: Floats,
) -> None:
    axis = end - start
    length = max(float(np.hypot(axis[0], axis[1])), 1e-3)
    along = axis / length
    mark = _footprint(surface, view, lathe, box, start, along, length)
    if mark is None:
        return
    patch = Patch(
        t_N=mark.t_N,
        u_N=mark.u_N,
        radius_N=mark.radius_N,
        length_m=length / view.scale,
        metres_per_px=1.0 / view.scale,
    )
    lean_N = mark.cap_N - _tilt(lathe, length / view.scale).take(mark.index) * mark.bulge_N
    normal_x = along[0] * lean_N - along[1] * mark.u_N
    normal_y = -(along[1] * lean_N + along[0] * mark.u_N)
    _write(surface, mark, lathe.paint(patch), (normal_x, normal_y), owner)


def _footprint(
    surface: Surface,
    view: View,
    lathe: Lathe,
    box: tuple[int, int, int, int],
    start: Floats,
    along: Floats,
    length: float,
) -> _Footprint | None:
    """Coverage and depth over a box x0, y0, x1, y1 of pixels, then only the pixels that count."""
    x0, y0, x1, y1 = box
    dx = np.arange(x0, x1, dtype=np.float32)[None] + (0.5 - start[0])
    dy = np.arange(y0, y1, dtype=np.float32)[:, None] + (0.5 - start[1])
    along_px = dx * along[0] + dy * along[1]
    across_px = dy * along[0] - dx * along[1]
    inside_px = np.minimum(np.maximum(along_px, 0.0), length)
    place = inside_px * ((TABLE_SIZE - 1) / length)
    index = place.astype(np.int32)
    is_smooth = length > 0.6 * TABLE_SIZE  # steps of the tables would show
    radius_px = _look_up(lathe.left_m * view.scale, index, place if is_smooth else None)
    if lathe.left_m is not lathe.right_m:
        right_px = _look_up(lathe.right_m * view.scale, index, place if is_smooth else None)
        radius_px = np.where(across_px < 0, radius_px, right_px)
    radius_px = np.maximum(radius_px, 0.05)
    excess_px = along_px - inside_px
    is_flat = lathe.is_flat_start and lathe.is_flat_end
    alpha = radius_px - (np.abs(across_px) if is_flat else np.hypot(across_px, excess_px))
    alpha = alpha * _slope_correction(lathe, length / view.scale).take(index) + 0.5
    if lathe.is_flat_start:
        alpha = np.minimum(alpha, along_px + 0.5)
    if lathe.is_flat_end:
        alpha = np.minimum(alpha, length - along_px + 0.5)
    picked = np.flatnonzero(alpha > 0.02)
    radius_N = radius_px.ravel()[picked]
    u_N = clamp(across_px.ravel()[picked] / radius_N, -1.0, 1.0)
    cap_N = clamp(excess_px.ravel()[picked] / radius_N, -1.0, 1.0)
    bulge_N = np.sqrt(np.maximum(1.0 - u_N * u_N - cap_N * cap_N, 0.0025))
    index_N = index.ravel()[picked]
    t_N = inside_px.ravel()[picked] / length
    depth_N = lathe.start[2] + (lathe.end[2] - lathe.start[2]) * t_N + lathe.z_bias_m
    place_N = place.ravel()[picked] if is_smooth else None
    depth_N = (depth_N + _look_up(lathe.depth_m, index_N, place_N) * bulge_N).astype(np.float32)
    flat = (picked // (x1 - x0) + y0) * surface.width + (picked % (x1 - x0) + x0)
    kept = np.flatnonzero(depth_N > surface.depth[flat])
    if not kept.size:
        return None
    return _Footprint(
        flat=flat[kept],
        index=index_N[kept],
        t_N=(t_N + excess_px.ravel()[picked] / length)[kept].astype(np.float32),
        u_N=u_N[kept],
        cap_N=cap_N[kept],
        bulge_N=bulge_N[kept],
        radius_N=radius_N[kept] / np.float32(view.scale),
        depth_N=depth_N[kept],
        alpha_N=np.minimum(alpha.ravel()[picked[kept]], 1.0),
    )


def _look_up(table: Floats, index: NDArray[np.int32], place: Floats | None) -> Floats:
    """Table values at an index, between neighbours where the exact place is given."""
    values = table.take(index)
    return values if place is None else values + _rise(table).take(index) * (place - index)


def _clip_span(a: float, b: float, reach: float, limit: int) -> tuple[int, int]:
    return max(int(min(a, b) - reach), 0), min(int(max(a, b) + reach) + 2, limit)


def _rise(table: Floats) -> Floats:
    """Difference to the next entry, 0 at the end."""
    rise = np.zeros_like(table)
    np.subtract(table[1:], table[:-1], out=rise[:-1])
    return rise


def clamp(values: Floats, low: Floats | float, high: Floats | float) -> Floats:
    """`np.clip` at a fifth of its cost for the short arrays of small pictures."""
    return np.minimum(np.maximum(values, low), high)


def _slope_correction(lathe: Lathe, length_m: float) -> Floats:
    """Cosine of the outline's slope, (TABLE_SIZE,): turns a distance across into a distance to the outline."""
    slope = _rise(lathe.right_m) * (TABLE_SIZE / max(length_m, 1e-3))
    return (1.0 / np.sqrt(1.0 + np.minimum(slope * slope, 30.0))).astype(np.float32)


def _tilt(lathe: Lathe, length_m: float) -> Floats:
    """How much the surface leans along the axis, (TABLE_SIZE,): the slope of the depth profile, kept gentle."""
    slope = _rise(lathe.depth_m) * (TABLE_SIZE / max(length_m, 0.05))
    return clamp(slope, -0.8, 0.8).astype(np.float32)


def _write(surface: Surface, mark: _Footprint, coat: Coat, normal: tuple[Floats, Floats], owner: int) -> None:
    """Blend the coat over what is there; depth and owner change where the new shape covers more than half."""
    alpha_N = mark.alpha_N if coat.opacity_N is None else mark.alpha_N * coat.opacity_N
    new = np.empty((mark.flat.size, 7), np.float32)
    new[:, :3] = coat.rgb_N3
    new[:, 3], new[:, 4], new[:, 5], new[:, 6] = *normal, mark.bulge_N, coat.gloss
    before = surface.coverage[mark.flat]
    after = before + alpha_N * (1.0 - before)
    edge = np.flatnonzero(alpha_N < 1.0)
    old = surface.layers[mark.flat[edge]]
    new[edge] = old + (alpha_N[edge] / np.maximum(after[edge], _NEW_PIXEL))[:, None] * (new[edge] - old)
    surface.layers[mark.flat] = new
    surface.coverage[mark.flat] = after
    solid = np.flatnonzero(alpha_N > 0.5)
    surface.depth[mark.flat[solid]] = mark.depth_N[solid]
    surface.owner[mark.flat[solid]] = owner


@dataclass(frozen=True, kw_only=True)
class Light:
    """Light of a photo: direction (x right, y up, z to the camera), ambient share 0..1, colours (3,)."""

    direction: tuple[float, float, float]
    ambient: float
    colour: Floats
    ambient_colour: Floats


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
    """Where something nearer stands close by, (H, W) float32 in [0, 1]: limbs darken what they lie on."""
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


@cache
def noise_tile(seed: int = 0, size: int = 256) -> Floats:
    """A smooth tile of noise that repeats without a seam, (size, size) float32, mean 0, deviation 1."""
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


@lru_cache(maxsize=8192)
def profile(knots: tuple[tuple[float, float], ...]) -> Floats:
    """(TABLE_SIZE,) float32 smooth curve through (t, value) knots; shared, so read only."""
    t, values = zip(*knots, strict=True)
    fine = np.interp(_PADDED_STEPS, t, values)
    fine[:_PAD] = 2.0 * fine[_PAD] - fine[2 * _PAD : _PAD : -1]
    fine[-_PAD:] = 2.0 * fine[-_PAD - 1] - fine[-_PAD - 2 : -2 * _PAD - 2 : -1]
    table = np.convolve(fine, _SMOOTH, mode="same")[_PAD:-_PAD].astype(np.float32)
    table.setflags(write=False)
    return table


def plain_paint(rgb: Floats, gloss: float = 0.0) -> Paint:
    """One colour."""
    coat = Coat(rgb_N3=rgb, gloss=gloss)
    return lambda _: coat
