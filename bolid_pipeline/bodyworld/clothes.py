"""Fabrics and the dressed body: every limb is one shape whose paint knows where the garment ends and skin begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bolid_pipeline.bodyworld.body import SIDES, Proportions, Skeleton
from bolid_pipeline.bodyworld.identity import BodyIdentity
from bolid_pipeline.bodyworld.scene import COLOURS, Scene
from bolid_pipeline.bodyworld.shading import (
    TABLE_SIZE,
    Coat,
    Floats,
    Lathe,
    Paint,
    Patch,
    clamp,
    plain_paint,
    profile,
    sample_noise,
)

Fabric = Callable[[Floats, Floats, float], Floats]
_STEPS = np.linspace(0.0, 1.0, TABLE_SIZE, dtype=np.float32)

# Half width along a limb over its widest half width.
UPPER_ARM = profile(((0, 0.92), (0.18, 1.04), (0.45, 0.95), (0.8, 0.76), (1, 0.74)))
FOREARM = profile(((0, 0.92), (0.22, 1.02), (0.6, 0.78), (1, 0.54)))
THIGH = profile(((0, 1.0), (0.25, 0.98), (0.6, 0.82), (0.9, 0.64), (1, 0.62)))
SHIN_FRONT = profile(((0, 0.84), (0.1, 0.80), (0.5, 0.72), (0.8, 0.50), (1, 0.44)))
SHIN_BACK = profile(((0, 0.84), (0.12, 0.92), (0.3, 1.24), (0.5, 1.08), (0.78, 0.56), (1, 0.46)))


@dataclass(frozen=True, kw_only=True)
class Outfit:
    """What covers what. `sleeve` and `leg_cover`: 0 bare, 1 to the elbow (knee), 2 to the wrist (ankle).

    `sleeve_ease_m` and `leg_ease_m` are the air between skin and cloth in metres.
    """

    top: Fabric
    bottom: Fabric
    inner: Fabric
    sleeve: float
    leg_cover: float
    sleeve_ease_m: float
    leg_ease_m: float
    is_jacket: bool
    is_tank: bool
    has_collar: bool
    is_dress: bool
    skirt_cover: float
    shoe_rgb: Floats


def dress(scene: Scene) -> Outfit:
    """The outfit of a scene."""
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
    """A fabric: (along_m, around_m, metres per pixel) -> (n, 3) colour, with the pattern laid around the body."""
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
    """Share of the second colour, (n,) in [0, 1]; None for plain. Edges are as soft as a pixel is wide."""
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


def skin_paint(skin: Floats, gloss: float = 0.22) -> Paint:
    """Bare skin: a little mottled, redder where it curves away."""

    def paint(patch: Patch) -> Coat:
        mottle = 1.0 + 0.018 * sample_noise(patch.u_N * 0.3, patch.t_N * 0.7, 2)
        edge = np.square(patch.u_N)[:, None] * np.array([-0.02, -0.06, -0.07], np.float32)
        return Coat(rgb_N3=skin * mottle[:, None] + edge * skin, gloss=gloss)

    return paint


def limb_paint(
    skin: Floats, fabric: Fabric | None, cover: float, length_m: float, offset_m: float = 0.0
) -> Paint:
    """Cloth on the first `cover` share of a limb, skin on the rest, a seam and a shadow at the hem."""
    bare = skin_paint(skin)
    if fabric is None or cover <= 0.0:
        return bare

    def paint(patch: Patch) -> Coat:
        bulge = np.sqrt(np.maximum(1.0 - patch.u_N * patch.u_N, 0.0))
        hem = cover * length_m + 0.18 * patch.radius_N * bulge
        along = patch.t_N * length_m
        cloth = fabric(along + offset_m, np.arcsin(patch.u_N) * patch.radius_N, patch.metres_per_px)
        if cover >= 1.2:
            return Coat(rgb_N3=cloth)
        soft = 1.0 / max(patch.metres_per_px, 0.002)
        share = clamp((hem - along) * soft + 0.5, 0.0, 1.0)
        seam = clamp(1.0 - np.abs(hem - along - 0.018) * 400.0, 0.0, 1.0) * 0.22
        shadow = clamp(1.0 - (along - hem) / 0.035, 0.0, 1.0) * 0.30
        body = bare(patch).rgb_N3 * (1.0 - shadow)[:, None]
        cloth = cloth * (1.0 - seam)[:, None]
        return Coat(rgb_N3=body + share[:, None] * (cloth - body), gloss=0.2 * (1.0 - share))

    return paint


def limb(
    start: Floats,
    end: Floats,
    width_m: Floats,
    paint: Paint,
    *,
    cover: float = 0.0,
    ease_m: float = 0.0,
    other_m: Floats | None = None,
) -> Lathe:
    """A round limb with cloth standing off by `ease_m` over its first `cover` share."""
    cloth = ease_m * clamp((cover - _STEPS) * 60.0, 0.0, 1.0) if cover < 1.2 else np.full(TABLE_SIZE, ease_m)
    left = (width_m + cloth).astype(np.float32)
    right = left if other_m is None else (other_m + cloth).astype(np.float32)
    return Lathe(start=start, end=end, left_m=left, right_m=right, depth_m=0.5 * (left + right), paint=paint)


def arm_parts(skeleton: Skeleton, identity: BodyIdentity, outfit: Outfit) -> list[Lathe]:
    """Upper arms, forearms and hands."""
    size, skin = skeleton.size, identity.skin_rgb()
    scale = size.height / 1.7
    muscle = identity.muscle * (1.5 if identity.sex == "man" else 0.8)
    width = scale * (0.040 + 0.012 * muscle) * (0.42 + 0.58 * size.girth)
    parts: list[Lathe] = []
    for side in SIDES:
        shoulder, elbow, wrist, hand = (
            skeleton.joints[f"{side}_{j}"] for j in ("shoulder", "elbow", "wrist", "hand")
        )
        upper_cover = 2.0 if outfit.sleeve >= 1.0 else outfit.sleeve
        lower_cover = outfit.sleeve - 1.0 if outfit.sleeve > 1.0 else 0.0
        fabric = outfit.top if outfit.sleeve > 0 else None
        parts.append(
            limb(
                shoulder,
                elbow,
                UPPER_ARM * width,
                limb_paint(skin, fabric, upper_cover, size.upper_arm),
                cover=upper_cover,
                ease_m=outfit.sleeve_ease_m,
            )
        )
        parts.append(
            limb(
                elbow,
                wrist,
                FOREARM * width * 0.84,
                limb_paint(skin, fabric, lower_cover, size.forearm, size.upper_arm),
                cover=lower_cover,
                ease_m=outfit.sleeve_ease_m * 0.85,
            )
        )
        parts += hand_parts(wrist, hand, elbow, skin, scale * (0.85 + 0.15 * size.girth))
    return parts


def hand_parts(wrist: Floats, tip: Floats, elbow: Floats, skin: Floats, scale: float) -> list[Lathe]:
    """Palm, four fingers held together loosely, a thumb."""
    axis = tip - wrist
    length = float(np.linalg.norm(axis))
    axis = axis / max(length, 1e-6)
    side = np.cross(axis, np.array([0.0, 0.0, 1.0]))
    side = side / max(float(np.linalg.norm(side)), 1e-6)
    paint = skin_paint(skin, 0.15)
    palm_end = wrist + axis * length * 0.46
    palm = profile(((0, 0.019), (0.4, 0.030), (1, 0.033))) * scale
    parts = [limb(wrist, palm_end.astype(np.float32), palm, paint)]
    finger = profile(((0, 0.0092), (0.7, 0.0082), (1, 0.0065))) * scale
    mitt = profile(((0, 0.033), (0.6, 0.030), (1, 0.018))) * scale
    whole = limb(palm_end.astype(np.float32), (wrist + axis * length * 0.93).astype(np.float32), mitt, paint)
    parts.append(replace(whole, detail="coarse"))
    for offset, reach in ((-0.026, 0.84), (-0.009, 0.98), (0.009, 1.0), (0.026, 0.90)):
        root = palm_end + side * offset * scale * 0.85
        end = wrist + axis * length * reach + side * offset * scale * 1.15
        finger_part = limb(root.astype(np.float32), end.astype(np.float32), finger, paint)
        parts.append(replace(finger_part, detail="fine"))
    toward = 1.0 if float(side @ (wrist - elbow + np.array([0.0, 0.05, 0.0]))) >= 0 else -1.0
    thumb = profile(((0, 0.014), (0.6, 0.011), (1, 0.008))) * scale
    root = wrist + axis * length * 0.15 + side * toward * 0.018 * scale
    end = wrist + axis * length * 0.58 + side * toward * 0.05 * scale
    parts.append(limb(root.astype(np.float32), end.astype(np.float32), thumb, paint))
    return parts


def leg_parts(skeleton: Skeleton, identity: BodyIdentity, outfit: Outfit) -> list[Lathe]:
    """Thighs, shins and shoes; calves bulge to the back, so their outline depends on the yaw."""
    size, skin = skeleton.size, identity.skin_rgb()
    scale = size.height / 1.7
    width = scale * (0.074 + 0.006 * identity.muscle) * (0.3 + 0.7 * size.girth)
    calf = scale * 0.056 * (0.5 + 0.5 * size.girth)
    parts: list[Lathe] = []
    for side in SIDES:
        hip, knee, ankle = (skeleton.joints[f"{side}_{j}"] for j in ("hip", "knee", "ankle"))
        upper = 2.0 if outfit.leg_cover >= 1.0 else outfit.leg_cover
        lower = outfit.leg_cover - 1.0 if outfit.leg_cover > 1.0 else 0.0
        parts.append(
            limb(
                hip,
                knee,
                THIGH * width,
                limb_paint(skin, outfit.bottom, upper, size.thigh),
                cover=upper,
                ease_m=outfit.leg_ease_m,
            )
        )
        back_is_left = np.sin(skeleton.yaw) * np.sign(knee[1] - ankle[1]) < 0
        turn = abs(float(np.sin(skeleton.yaw)))
        middle = 0.5 * (SHIN_FRONT + SHIN_BACK)
        front, back = (middle + turn * (table - middle) for table in (SHIN_FRONT, SHIN_BACK))
        one, two = (back, front) if back_is_left else (front, back)
        parts.append(
            limb(
                knee,
                ankle,
                one * calf,
                limb_paint(skin, outfit.bottom, lower, size.shin, size.thigh),
                cover=lower,
                ease_m=outfit.leg_ease_m,
                other_m=two * calf,
            )
        )
        parts += shoe_parts(skeleton, side, outfit)
    return parts


def shoe_parts(skeleton: Skeleton, side: str, outfit: Outfit) -> list[Lathe]:
    """One shoe and its sole."""
    scale = skeleton.size.height / 1.7
    heel, toe, ankle = (skeleton.joints[f"{side}_{j}"] for j in ("heel", "toe", "ankle"))
    shaft = profile(((0, 0.036), (1, 0.042))) * scale
    upper = profile(((0, 0.040), (0.35, 0.041), (0.7, 0.036), (1, 0.025))) * scale
    shoe = plain_paint(outfit.shoe_rgb, 0.5)
    down = np.array([0.0, -0.012 * scale, -0.004], np.float32)
    sole = plain_paint(clamp(outfit.shoe_rgb * 0.35 + (0.5 if outfit.shoe_rgb.mean() < 0.3 else 0.0), 0, 1))
    return [
        limb(ankle, (0.6 * heel + 0.4 * toe).astype(np.float32), shaft, shoe),
        limb(heel, toe, upper, shoe),
        limb(heel + down, toe + down, upper * 0.97, sole),
    ]


def torso_part(skeleton: Skeleton, identity: BodyIdentity, outfit: Outfit) -> Lathe:
    """The trunk from crotch to neck as one shape; its outline turns with the yaw (belly and chest front, seat back)."""
    size = skeleton.size
    up = skeleton.joints["neck"] - skeleton.joints["pelvis"]
    low = skeleton.joints["pelvis"] - up * 0.075
    neck_half = neck_half_m(identity, size)
    top_half = size.shoulder_half - 0.012
    width = profile(
        (
            (0.0, size.pelvis_half * 0.42),
            (0.05, size.pelvis_half * 0.80),
            (0.12, size.pelvis_half * 0.98),
            (0.2, size.pelvis_half * 0.98),
            (0.42, size.waist_half),
            (0.64, size.chest_half),
            (0.80, max(size.chest_half * 1.05, top_half * 0.86)),
            (0.87, top_half * 0.94),
            (0.91, top_half * 0.90),
            (0.945, top_half * 0.70),
            (0.985, neck_half * 1.22),
            (1.0, neck_half * 0.92),
        )
    )
    bust = (0.052 if identity.sex == "woman" else 0.022) * identity.chest * size.height / 1.7
    belly = size.belly_depth * (1.0 + 0.75 * max(size.girth - 1.02, 0.0))
    front = profile(
        (
            (0.0, size.seat_depth * 0.30),
            (0.08, size.seat_depth * 0.55),
            (0.2, size.seat_depth * 0.88),
            (0.36, belly),
            (0.55, size.chest_depth * 0.9),
            (0.68, size.chest_depth + bust),
            (0.8, size.chest_depth * 0.88 + 0.3 * bust),
            (0.92, size.chest_depth * 0.60),
            (1.0, neck_half * 0.8),
        )
    )
    back = profile(
        (
            (0.0, size.seat_depth * 0.75),
            (0.12, size.seat_depth * 1.22),
            (0.25, size.seat_depth * 0.95),
            (0.42, size.belly_depth * 0.72),
            (0.7, size.chest_depth * 0.95),
            (0.86, size.chest_depth * 0.85),
            (0.95, size.chest_depth * 0.62),
            (1.0, neck_half * 0.8),
        )
    )
    ease = 0.006 + 0.5 * outfit.sleeve_ease_m * (1.0 - clamp((_STEPS - 0.85) * 12, 0, 1))
    left, right, depth = turned_outline(width + ease, front + ease, back + ease, skeleton.yaw)
    return Lathe(
        start=low.astype(np.float32),
        end=skeleton.joints["neck"],
        left_m=left,
        right_m=right,
        depth_m=depth,
        paint=torso_paint(skeleton, identity, outfit),
        is_flat_end=True,
    )


def neck_half_m(identity: BodyIdentity, size: Proportions) -> float:
    """Half the width of the neck, metres."""
    return size.face_half * (0.70 if identity.sex == "man" else 0.58) * (0.86 + 0.14 * size.girth)


def turned_outline(half: Floats, front: Floats, back: Floats, yaw: float) -> tuple[Floats, Floats, Floats]:
    """Outline of an oval cross-section seen at a yaw: (left, right, depth), half widths in the picture."""
    oval = np.sqrt(np.square(half * np.cos(yaw)) + np.square(0.5 * (front + back) * np.sin(yaw)))
    shift = 0.5 * (front - back) * np.sin(yaw)
    depth = np.sqrt(np.square(half * np.sin(yaw)) + np.square(0.5 * (front + back) * np.cos(yaw)))
    depth = depth + 0.5 * (front - back) * np.cos(yaw)
    return (oval - shift).astype(np.float32), (oval + shift).astype(np.float32), depth.astype(np.float32)


def torso_paint(skeleton: Skeleton, identity: BodyIdentity, outfit: Outfit) -> Paint:
    """Bottom garment to the waist, top garment to the neckline, skin above; fronts of jackets and shirts."""
    size = skeleton.size
    bare = skin_paint(identity.skin_rgb())
    length = size.torso * 1.075
    waist = 0.33
    hem = 0.20 if not outfit.is_dress else -1.0

    def paint(patch: Patch) -> Coat:
        azimuth = np.arcsin(patch.u_N) - skeleton.yaw
        front = np.cos(azimuth)
        lateral = np.sin(azimuth) * patch.radius_N
        along = patch.t_N * length
        around = azimuth * size.chest_half
        soft = max(patch.metres_per_px / length, 0.002)
        top = outfit.top(along, around, patch.metres_per_px)
        bottom = outfit.bottom(along, around, patch.metres_per_px)
        is_tucked = outfit.has_collar and not outfit.is_jacket
        edge = (waist if is_tucked else hem) - 0.02 * front
        rgb = bottom + clamp((patch.t_N - edge) / soft + 0.5, 0.0, 1.0)[:, None] * (top - bottom)
        if is_tucked:
            belt = clamp(1.0 - np.abs(patch.t_N - edge + 0.02) / 0.022 * 1.5 + 0.5, 0.0, 1.0)
            rgb = rgb * (1.0 - 0.75 * belt)[:, None]
        if outfit.is_dress:
            sash = clamp(1.6 - np.abs(patch.t_N - 0.42) / 0.02, 0.0, 1.0)
            rgb = rgb * (1.0 - 0.45 * sash)[:, None]
        rgb = _front_details(rgb, patch, outfit, front, lateral, along, around, edge)
        neck = _neckline(outfit, front, lateral, size.shoulder_half)
        shown = clamp((patch.t_N - neck) / soft + 0.5, 0.0, 1.0)
        trim = clamp(1.5 - np.abs(patch.t_N - neck + 0.012) / 0.010, 0.0, 1.0) * 0.18
        rgb = rgb * (1.0 - trim)[:, None]
        rgb = rgb + shown[:, None] * (bare(patch).rgb_N3 - rgb)
        return Coat(rgb_N3=rgb, gloss=0.15 * shown)

    return paint


def _neckline(outfit: Outfit, front: Floats, lateral: Floats, shoulder_half: float) -> Floats:
    """Height along the trunk (0..1) above which skin shows; lower in front, and for tank tops beside the straps."""
    is_front = clamp(front * 3.0, 0.0, 1.0)
    aside = np.abs(lateral) / shoulder_half
    if outfit.is_tank or outfit.is_dress:
        scoop = (0.06 + 0.12 * is_front) * clamp(1.0 - np.power(aside / 0.42, 4), 0.0, 1.0)
        arm_hole = 0.26 * clamp((aside - 0.66) / 0.22, 0.0, 1.0) ** 0.6
        return 1.0 - scoop - arm_hole
    if outfit.has_collar:
        return 0.985 - 0.11 * is_front * clamp(1.0 - np.abs(lateral) / 0.05, 0.0, 1.0)
    return 0.985 - 0.06 * is_front * clamp(1.0 - np.square(aside / 0.45), 0.0, 1.0)


def _front_details(
    rgb: Floats,
    patch: Patch,
    outfit: Outfit,
    front: Floats,
    lateral: Floats,
    along: Floats,
    around: Floats,
    edge: Floats,
) -> Floats:
    """Open jacket with the shirt beneath and lapels; button row of a shirt."""
    is_front = front > 0.0
    is_above = patch.t_N > edge
    if outfit.is_jacket:
        gap = 0.028 + 0.05 * clamp(patch.t_N - 0.45, 0.0, 1.0)
        soft = max(patch.metres_per_px, 0.003)
        opening = clamp((gap - np.abs(lateral)) / soft + 0.5, 0.0, 1.0) * is_front * is_above
        inner = outfit.inner(along, around, patch.metres_per_px)
        rgb = rgb + opening[:, None] * (inner - rgb)
        lapel = clamp(1.5 - np.abs(np.abs(lateral) - gap - 0.012) / 0.010, 0.0, 1.0) * is_front * is_above
        return rgb * (1.0 - 0.4 * lapel)[:, None]
    if outfit.has_collar:
        placket = clamp(1.5 - np.abs(np.abs(lateral) - 0.016) / 0.003, 0.0, 1.0) * 0.25
        button = clamp(1.6 - np.hypot(lateral, np.mod(along, 0.085) - 0.04) / 0.005, 0.0, 1.0) * 0.55
        return rgb * (1.0 - np.maximum(placket, button) * is_front * is_above)[:, None]
    return rgb


def skirt_parts(skeleton: Skeleton, outfit: Outfit) -> list[Lathe]:
    """A flared skirt around both thighs; empty without one. A seated skirt is the cloth on the thighs alone."""
    if outfit.skirt_cover <= 0.0:
        return []
    size, joints = skeleton.size, skeleton.joints
    cover = outfit.skirt_cover
    feet = [_along_leg(skeleton, side, cover) for side in SIDES]
    middle = 0.5 * (feet[0] + feet[1])
    waist = joints["pelvis"] + (joints["neck"] - joints["pelvis"]) * 0.24
    if float(waist[1] - middle[1]) < 0.6 * size.thigh * min(cover, 1.0) + 0.12:
        return []
    spread = 0.5 * abs(float(feet[0][0] - feet[1][0]))
    half_top = float(
        np.hypot(size.waist_half * np.cos(skeleton.yaw), size.belly_depth * np.sin(skeleton.yaw))
    )
    half_hip = float(
        np.hypot(size.pelvis_half * np.cos(skeleton.yaw), size.seat_depth * 1.15 * np.sin(skeleton.yaw))
    )
    half_hem = max(spread + 0.085 * size.girth, half_hip * 1.22)
    table = profile(((0, half_top + 0.012), (0.3, half_hip + 0.03), (1, half_hem)))
    fabric = outfit.bottom

    def paint(patch: Patch) -> Coat:
        angle = np.arcsin(patch.u_N)
        along = patch.t_N * patch.length_m
        rgb = fabric(along, angle * half_hip, patch.metres_per_px)
        pleat = 1.0 - 0.16 * clamp(patch.t_N, 0, 1) * (0.5 + 0.5 * np.sin(angle * 9.0 + 1.0))
        hem = 1.0 - 0.25 * clamp(
            1.5 - np.abs(patch.t_N * patch.length_m - patch.length_m + 0.02) / 0.006, 0.0, 1.0
        )
        return Coat(rgb_N3=rgb * (pleat * hem)[:, None])

    return [
        Lathe(
            start=waist.astype(np.float32),
            end=middle.astype(np.float32),
            left_m=table,
            right_m=table,
            depth_m=(table * 0.75 + 0.035).astype(np.float32),
            paint=paint,
            is_flat_start=True,
            is_flat_end=True,
        )
    ]


def _along_leg(skeleton: Skeleton, side: str, cover: float) -> Floats:
    """Point of the leg at `cover` (0 hip, 1 knee, 2 ankle)."""
    hip, knee, ankle = (skeleton.joints[f"{side}_{j}"] for j in ("hip", "knee", "ankle"))
    return hip + (knee - hip) * cover if cover <= 1.0 else knee + (ankle - knee) * (cover - 1.0)
