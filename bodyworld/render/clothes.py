"""Fabrics and outfits: the patterns of a scene's garments, and how much of the body they cover."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bodyworld.render.arrays import Floats, clamp
from bodyworld.render.noise import sample_noise
from bodyworld.render.scene import COLOURS, Scene

Fabric = Callable[[Floats, Floats, float], Floats]
"""(along_m (N,), around_m (N,), metres per pixel) -> (N, 3) colours."""


@dataclass(frozen=True, kw_only=True)
class Outfit:
    """A person's garments, and how much of the body they cover."""

    top: Fabric
    bottom: Fabric
    inner: Fabric
    """The shirt under an open jacket."""
    sleeve: float
    """0 bare, 1 to the elbow, 2 to the wrist."""
    leg_cover: float
    """0 bare, 1 to the knee, 2 to the ankle."""
    sleeve_ease_m: float
    """Air between skin and sleeve."""
    leg_ease_m: float
    """Air between skin and trouser leg."""
    is_jacket: bool
    is_tank: bool
    has_collar: bool
    is_dress: bool
    skirt_cover: float
    """Length of a skirt or dress on the leg, like `leg_cover`; 0 without one."""
    shoe_rgb: Floats


def dress(scene: Scene) -> Outfit:
    """The outfit that a scene describes."""
    is_dress = scene.top == "dress"
    top = make_fabric(scene.top_colour, scene.top_pattern)
    bottom = top if is_dress else make_fabric(scene.bottom_colour, "plain")
    sleeve = {"t-shirt": 0.62, "shirt": 1.93, "tank top": 0.0, "jacket": 1.97, "dress": 0.3}[scene.top]
    has_skirt = is_dress or scene.bottom == "skirt"
    length = (0.85 + 0.55 * scene.garment_fit) if is_dress else 0.55 + 0.65 * scene.garment_fit
    legs = {"trousers": 1.97, "shorts": 0.45 + 0.4 * scene.garment_fit, "skirt": 0.0}[scene.bottom]
    return Outfit(
        top=top,
        bottom=bottom,
        inner=make_fabric(scene.inner_colour, "plain"),
        sleeve=sleeve,
        leg_cover=min(length, 0.97) - 0.05 if has_skirt else legs,
        sleeve_ease_m={"t-shirt": 0.012, "shirt": 0.008, "jacket": 0.017}.get(scene.top, 0.006),
        leg_ease_m=0.004 if has_skirt else 0.007 + 0.016 * scene.garment_fit,
        is_jacket=scene.top == "jacket",
        is_tank=scene.top == "tank top",
        has_collar=scene.top in ("shirt", "jacket"),
        is_dress=is_dress,
        skirt_cover=length if has_skirt else 0.0,
        shoe_rgb=np.array(COLOURS[scene.shoe_colour], np.float32),
    )


def make_fabric(colour: str, pattern: str) -> Fabric:
    """A fabric of one of `COLOURS` whose pattern, one of `PATTERNS`, runs around the body."""
    base = np.array(COLOURS[colour], np.float32)
    is_light = float(base.mean()) > 0.55
    second = base * 0.30 + 0.02 if is_light else base * 0.18 + 0.80

    def paint(along_N: Floats, around_N: Floats, metres_per_px: float) -> Floats:
        weave = 1.0 + 0.035 * sample_noise(around_N * 3.1, along_N * 3.1, 3)
        fold = 1.0 + 0.075 * sample_noise(around_N * 1.3 + along_N * 0.5, along_N * 0.55, 1)
        mix = pattern_mask(pattern, along_N, around_N, metres_per_px)
        colours = base if mix is None else base + mix[:, None] * (second - base)
        return clamp(colours * (weave * fold)[:, None], 0.0, 1.0)

    return paint


def pattern_mask(pattern: str, along_N: Floats, around_N: Floats, metres_per_px: float) -> Floats | None:
    """Share of the second colour, (N,) in [0, 1]; None for plain. Edges are as soft as a pixel is wide."""
    if pattern == "plain":
        return None
    period = {"striped": 0.105, "dotted": 0.095, "checked": 0.13}[pattern]
    crisp = max(period / metres_per_px / 4.0, 0.7)
    x, y = around_N * (2 * np.pi / period), along_N * (2 * np.pi / period)
    if pattern == "striped":
        return clamp(0.5 + crisp * np.sin(y), 0.0, 1.0)
    if pattern == "dotted":
        return clamp(0.5 + crisp * (np.cos(x) + np.cos(y) - 0.75), 0.0, 1.0)
    return 0.5 * (clamp(0.5 + crisp * np.sin(x), 0.0, 1.0) + clamp(0.5 + crisp * np.sin(y), 0.0, 1.0))
