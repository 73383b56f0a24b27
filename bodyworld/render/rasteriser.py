"""A tiny rasteriser: draws shapes into a surface with a depth for every pixel, to be lit afterwards.

World space is in metres: x to the right of the picture, y up, z towards the camera. Pictures are in pixels, y down.
Suffixes: `_N` one number per touched pixel, `_N3` with three channels.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bodyworld.render.arrays import Floats, clamp
from bodyworld.render.shapes import TABLE_SIZE, Coat, Lathe, Patch

FINE_PX_PER_METRE = 150.0
"""From this scale on fingers are drawn one by one."""
_NEW_PIXEL = 1e-4  # keeps the division by the coverage of an untouched pixel finite
_CHUNK = 32768  # pixels drawn at a time: what fits into the cache


@dataclass(frozen=True, kw_only=True)
class View:
    """Weak perspective: x_px = centre_x_px + scale * x, y_px = centre_y_px - scale * y."""

    scale: float
    """Pixels per metre."""
    centre_x_px: float
    centre_y_px: float

    def to_px(self, points: Floats) -> Floats:
        """(..., 3) metres -> (..., 2) float32 pixels."""
        result = points[..., :2] * np.array((self.scale, -self.scale), np.float32)
        result += np.array((self.centre_x_px, self.centre_y_px), np.float32)
        return result.astype(np.float32)


class Surface:
    """The people before light, as the camera sees them: colour, normal, gloss, coverage, depth and owner per pixel."""

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


class _Box(NamedTuple):
    """Pixels from (x0, y0) up to (x1, y1), without these."""

    x0: int
    y0: int
    x1: int
    y1: int


@dataclass(frozen=True, kw_only=True)
class _Projection:
    """A shape as it lies in the picture."""

    lathe: Lathe
    scale: float
    start: Floats
    """(2,) px."""
    along: Floats
    """(2,) unit vector from start to end."""
    length_px: float

    @property
    def length_m(self) -> float:
        """Length of the axis as drawn."""
        return self.length_px / self.scale

    @property
    def is_smooth(self) -> bool:
        """True if the shape is so large that the steps of its tables would show."""
        return self.length_px > 0.6 * TABLE_SIZE


@dataclass(frozen=True, kw_only=True)
class _Places:
    """Positions of a box's pixels on a shape, (H, W) each."""

    across_px: Floats
    """Distance from the axis; negative on the left."""
    along_px: Floats
    """Distance from the start along the axis."""
    inside_px: Floats
    """`along_px`, limited to the range between the ends."""
    excess_px: Floats
    """Distance beyond the nearer end; 0 between the ends."""
    place: Floats
    """Position in the shape's tables."""
    index: NDArray[np.int32]
    """`place`, rounded down."""


@dataclass(frozen=True, kw_only=True)
class _Footprint:
    """The pixels that a shape touches where nothing nearer is."""

    flat_N: NDArray[np.intp]
    """Pixel of the surface."""
    index_N: NDArray[np.int32]
    """Position in the shape's tables."""
    t_N: Floats
    u_N: Floats
    cap_N: Floats
    """Position in the round cap, -1 to 1; 0 between the ends."""
    bulge_N: Floats
    """How much the shape faces the camera, 0 to 1."""
    radius_N: Floats
    """Half width, metres."""
    depth_N: Floats
    """Metres towards the camera."""
    alpha_N: Floats
    """Share of the pixel that is covered."""


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
    axis = end - start
    length_px = max(float(np.hypot(axis[0], axis[1])), 1e-3)
    shape = _Projection(
        lathe=lathe, scale=view.scale, start=start, along=axis / length_px, length_px=length_px
    )
    height = max(_CHUNK // (x1 - x0), 1)
    for top in range(y0, y1, height):
        _draw_box(surface, shape, _Box(x0, top, x1, min(top + height, y1)), owner)


def _draw_box(surface: Surface, shape: _Projection, box: _Box, owner: int) -> None:
    mark = _footprint(surface, shape, box)
    if mark is None:
        return
    patch = Patch(
        t_N=mark.t_N,
        u_N=mark.u_N,
        radius_N=mark.radius_N,
        length_m=shape.length_m,
        metres_per_px=1.0 / shape.scale,
    )
    lean_N = mark.cap_N - _tilt(shape.lathe, shape.length_m).take(mark.index_N) * mark.bulge_N
    normal_x = shape.along[0] * lean_N - shape.along[1] * mark.u_N
    normal_y = -(shape.along[1] * lean_N + shape.along[0] * mark.u_N)
    _write(surface, mark, shape.lathe.paint(patch), (normal_x, normal_y), owner)


def _footprint(surface: Surface, shape: _Projection, box: _Box) -> _Footprint | None:
    """The pixels of a box that a shape covers, without hidden ones; None if there are none."""
    lathe = shape.lathe
    places = _places(shape, box)
    radius_px = _radius_px(shape, places)
    alpha = _coverage(shape, places, radius_px)
    picked = np.flatnonzero(alpha > 0.02)
    radius_N = radius_px.ravel()[picked]
    excess_N = places.excess_px.ravel()[picked]
    u_N = clamp(places.across_px.ravel()[picked] / radius_N, -1.0, 1.0)
    cap_N = clamp(excess_N / radius_N, -1.0, 1.0)
    bulge_N = np.sqrt(np.maximum(1.0 - u_N * u_N - cap_N * cap_N, 0.0025))
    index_N = places.index.ravel()[picked]
    t_N = places.inside_px.ravel()[picked] / shape.length_px
    depth_N = lathe.start[2] + (lathe.end[2] - lathe.start[2]) * t_N + lathe.z_bias_m
    place_N = places.place.ravel()[picked] if shape.is_smooth else None
    depth_N = (depth_N + _look_up(lathe.depth_m, index_N, place_N) * bulge_N).astype(np.float32)
    width = box.x1 - box.x0
    flat_N = (picked // width + box.y0) * surface.width + (picked % width + box.x0)
    kept = np.flatnonzero(depth_N > surface.depth[flat_N])
    if not kept.size:
        return None
    return _Footprint(
        flat_N=flat_N[kept],
        index_N=index_N[kept],
        t_N=(t_N + excess_N / shape.length_px)[kept].astype(np.float32),
        u_N=u_N[kept],
        cap_N=cap_N[kept],
        bulge_N=bulge_N[kept],
        radius_N=radius_N[kept] / np.float32(shape.scale),
        depth_N=depth_N[kept],
        alpha_N=np.minimum(alpha.ravel()[picked[kept]], 1.0),
    )


def _places(shape: _Projection, box: _Box) -> _Places:
    dx = np.arange(box.x0, box.x1, dtype=np.float32)[None] + (0.5 - shape.start[0])
    dy = np.arange(box.y0, box.y1, dtype=np.float32)[:, None] + (0.5 - shape.start[1])
    along_px = dx * shape.along[0] + dy * shape.along[1]
    inside_px = np.minimum(np.maximum(along_px, 0.0), shape.length_px)
    place = inside_px * ((TABLE_SIZE - 1) / shape.length_px)
    return _Places(
        across_px=dy * shape.along[0] - dx * shape.along[1],
        along_px=along_px,
        inside_px=inside_px,
        excess_px=along_px - inside_px,
        place=place,
        index=place.astype(np.int32),
    )


def _radius_px(shape: _Projection, places: _Places) -> Floats:
    """Half width of the shape beside every pixel, (H, W)."""
    lathe, place = shape.lathe, places.place if shape.is_smooth else None
    radius_px = _look_up(lathe.left_m * shape.scale, places.index, place)
    if lathe.left_m is not lathe.right_m:
        right_px = _look_up(lathe.right_m * shape.scale, places.index, place)
        radius_px = np.where(places.across_px < 0, radius_px, right_px)
    return np.maximum(radius_px, 0.05)


def _coverage(shape: _Projection, places: _Places, radius_px: Floats) -> Floats:
    """Share of every pixel inside the outline, (H, W); not yet clipped to 0 and 1."""
    lathe, across_px, excess_px = shape.lathe, places.across_px, places.excess_px
    is_flat = lathe.is_flat_start and lathe.is_flat_end
    alpha = radius_px - (np.abs(across_px) if is_flat else np.hypot(across_px, excess_px))
    alpha = alpha * _slope_correction(lathe, shape.length_m).take(places.index) + 0.5
    if lathe.is_flat_start:
        alpha = np.minimum(alpha, places.along_px + 0.5)
    if lathe.is_flat_end:
        alpha = np.minimum(alpha, shape.length_px - places.along_px + 0.5)
    return alpha


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
    new = np.empty((mark.flat_N.size, 7), np.float32)
    new[:, :3] = coat.rgb_N3
    new[:, 3], new[:, 4], new[:, 5], new[:, 6] = *normal, mark.bulge_N, coat.gloss
    before = surface.coverage[mark.flat_N]
    after = before + alpha_N * (1.0 - before)
    edge = np.flatnonzero(alpha_N < 1.0)
    old = surface.layers[mark.flat_N[edge]]
    new[edge] = old + (alpha_N[edge] / np.maximum(after[edge], _NEW_PIXEL))[:, None] * (new[edge] - old)
    surface.layers[mark.flat_N] = new
    surface.coverage[mark.flat_N] = after
    solid = np.flatnonzero(alpha_N > 0.5)
    surface.depth[mark.flat_N[solid]] = mark.depth_N[solid]
    surface.owner[mark.flat_N[solid]] = owner
