"""The one kind of shape that people are made of, and its paints.

World space is in metres: x to the right of the picture, y up, z towards the camera.
Suffixes: `_N` one number per touched pixel, `_N3` with three channels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from bodyworld.render.arrays import Floats

TABLE_SIZE = 128
"""Entries of the tables that describe a shape along its axis."""
_PAD = 8
_PADDED_STEPS = (np.arange(TABLE_SIZE + 2 * _PAD) - _PAD) / (TABLE_SIZE - 1)
_SMOOTH = np.hanning(13)[1:-1] / np.hanning(13)[1:-1].sum()


@dataclass(frozen=True, kw_only=True)
class Patch:
    """The pixels that one shape touches, for its paint."""

    t_N: Floats
    """Place along the axis, 0 to 1 (below 0 and above 1 in round caps)."""
    u_N: Floats
    """Place across the axis, -1 to 1."""
    radius_N: Floats
    """Half width of the shape at the pixel, metres."""
    length_m: float
    """Length of the axis as drawn."""
    metres_per_px: float


@dataclass(frozen=True, kw_only=True)
class Coat:
    """The colour of the pixels of a patch."""

    rgb_N3: Floats
    """In [0, 1]; (3,) where all pixels have the same colour."""
    opacity_N: Floats | None = None
    """In [0, 1]; None where all pixels are opaque."""
    gloss: Floats | float = 0.0
    """In [0, 1], for all pixels or for each."""


Paint = Callable[[Patch], Coat]


@dataclass(frozen=True, kw_only=True)
class Lathe:
    """A round shape along a straight axis, as if turned on a lathe, whose outline may differ left and right."""

    start: Floats
    """(3,) metres."""
    end: Floats
    """(3,) metres."""
    left_m: Floats
    """(TABLE_SIZE,) half widths on the left of an axis that goes up the picture (on the right if it goes down)."""
    right_m: Floats
    """(TABLE_SIZE,) half widths on the other side."""
    depth_m: Floats
    """(TABLE_SIZE,) extents towards the camera."""
    paint: Paint
    is_flat_start: bool = False
    """True if the shape is cut off at its start; otherwise a round cap closes it. Likewise for its end."""
    is_flat_end: bool = False
    z_bias_m: float = 0.0
    """Distance by which the shape counts as nearer to the camera than it is."""
    detail: Literal["any", "fine", "coarse"] = "any"
    """Fine and coarse shapes are drawn only above or below `rasteriser.FINE_PX_PER_METRE`."""


@lru_cache(maxsize=8192)
def profile(knots: tuple[tuple[float, float], ...]) -> Floats:
    """(TABLE_SIZE,) float32: a smooth curve through (t, value) knots. It is shared, so it is read-only."""
    t, values = zip(*knots, strict=True)
    fine = np.interp(_PADDED_STEPS, t, values)
    fine[:_PAD] = 2.0 * fine[_PAD] - fine[2 * _PAD : _PAD : -1]
    fine[-_PAD:] = 2.0 * fine[-_PAD - 1] - fine[-_PAD - 2 : -2 * _PAD - 2 : -1]
    table = np.convolve(fine, _SMOOTH, mode="same")[_PAD:-_PAD].astype(np.float32)
    table.setflags(write=False)
    return table


def plain_paint(rgb: Floats, gloss: float = 0.0) -> Paint:
    """A paint of one colour, (3,)."""
    coat = Coat(rgb_N3=rgb, gloss=gloss)
    return lambda _: coat


def turned_outline(half: Floats, front: Floats, back: Floats, yaw: float) -> tuple[Floats, Floats, Floats]:
    """Outline of an oval cross-section seen at a yaw: (left, right, depth), half widths in the picture."""
    oval = np.sqrt(np.square(half * np.cos(yaw)) + np.square(0.5 * (front + back) * np.sin(yaw)))
    shift = 0.5 * (front - back) * np.sin(yaw)
    depth = np.sqrt(np.square(half * np.sin(yaw)) + np.square(0.5 * (front + back) * np.cos(yaw)))
    depth = depth + 0.5 * (front - back) * np.cos(yaw)
    return (oval - shift).astype(np.float32), (oval + shift).astype(np.float32), depth.astype(np.float32)
