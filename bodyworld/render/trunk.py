"""The dressed trunk: chest to seat as one shape, what is painted on it, and a skirt around the thighs."""

from dataclasses import dataclass

import numpy as np

from bodyworld.render.arrays import Floats, clamp
from bodyworld.render.clothes import Outfit
from bodyworld.render.identity import BodyIdentity
from bodyworld.render.limbs import skin_paint
from bodyworld.render.proportions import neck_half_m
from bodyworld.render.shapes import TABLE_SIZE, Coat, Lathe, Paint, Patch, profile, turned_outline
from bodyworld.render.skeleton import SIDES, Skeleton

_STEPS = np.linspace(0.0, 1.0, TABLE_SIZE, dtype=np.float32)


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


@dataclass(frozen=True, kw_only=True)
class _TrunkPatch:
    """The touched pixels of the trunk in the terms of a tailor."""

    patch: Patch
    front_N: Floats
    """1 on the front, 0 at the sides, -1 on the back."""
    lateral_N: Floats
    """Distance from the middle, metres, to the person's left."""
    along_N: Floats
    """Height on the trunk, metres."""
    around_N: Floats
    """Way around the trunk from the middle of the front, metres."""


def torso_paint(skeleton: Skeleton, identity: BodyIdentity, outfit: Outfit) -> Paint:
    """Bottom garment to the waist, top garment to the neckline, skin above; fronts of jackets and shirts."""
    size = skeleton.size
    bare = skin_paint(identity.skin_rgb())
    length = size.torso * 1.075
    is_tucked = outfit.has_collar and not outfit.is_jacket
    hem = 0.33 if is_tucked else -1.0 if outfit.is_dress else 0.20

    def paint(patch: Patch) -> Coat:
        azimuth = np.arcsin(patch.u_N) - skeleton.yaw
        trunk = _TrunkPatch(
            patch=patch,
            front_N=np.cos(azimuth),
            lateral_N=np.sin(azimuth) * patch.radius_N,
            along_N=patch.t_N * length,
            around_N=azimuth * size.chest_half,
        )
        soft = max(patch.metres_per_px / length, 0.002)
        top = outfit.top(trunk.along_N, trunk.around_N, patch.metres_per_px)
        bottom = outfit.bottom(trunk.along_N, trunk.around_N, patch.metres_per_px)
        edge = hem - 0.02 * trunk.front_N
        rgb = bottom + clamp((patch.t_N - edge) / soft + 0.5, 0.0, 1.0)[:, None] * (top - bottom)
        if is_tucked:
            belt = clamp(1.0 - np.abs(patch.t_N - edge + 0.02) / 0.022 * 1.5 + 0.5, 0.0, 1.0)
            rgb = rgb * (1.0 - 0.75 * belt)[:, None]
        if outfit.is_dress:
            sash = clamp(1.6 - np.abs(patch.t_N - 0.42) / 0.02, 0.0, 1.0)
            rgb = rgb * (1.0 - 0.45 * sash)[:, None]
        rgb = _add_front_details(rgb, trunk, outfit, edge)
        neck = _neckline(trunk, outfit, size.shoulder_half)
        shown = clamp((patch.t_N - neck) / soft + 0.5, 0.0, 1.0)
        trim = clamp(1.5 - np.abs(patch.t_N - neck + 0.012) / 0.010, 0.0, 1.0) * 0.18
        rgb = rgb * (1.0 - trim)[:, None]
        rgb = rgb + shown[:, None] * (bare(patch).rgb_N3 - rgb)
        return Coat(rgb_N3=rgb, gloss=0.15 * shown)

    return paint


def _neckline(trunk: _TrunkPatch, outfit: Outfit, shoulder_half: float) -> Floats:
    """Height along the trunk (0..1) above which skin shows; lower in front, and for tank tops beside the straps."""
    is_front = clamp(trunk.front_N * 3.0, 0.0, 1.0)
    aside = np.abs(trunk.lateral_N) / shoulder_half
    if outfit.is_tank or outfit.is_dress:
        scoop = (0.06 + 0.12 * is_front) * clamp(1.0 - np.power(aside / 0.42, 4), 0.0, 1.0)
        arm_hole = 0.26 * clamp((aside - 0.66) / 0.22, 0.0, 1.0) ** 0.6
        return 1.0 - scoop - arm_hole
    if outfit.has_collar:
        return 0.985 - 0.11 * is_front * clamp(1.0 - np.abs(trunk.lateral_N) / 0.05, 0.0, 1.0)
    return 0.985 - 0.06 * is_front * clamp(1.0 - np.square(aside / 0.45), 0.0, 1.0)


def _add_front_details(rgb: Floats, trunk: _TrunkPatch, outfit: Outfit, edge: Floats) -> Floats:
    """The colours with an open jacket's lapels and the shirt beneath, or with a shirt's row of buttons."""
    patch, lateral = trunk.patch, trunk.lateral_N
    is_front = trunk.front_N > 0.0
    is_above = patch.t_N > edge
    if outfit.is_jacket:
        gap = 0.028 + 0.05 * clamp(patch.t_N - 0.45, 0.0, 1.0)
        soft = max(patch.metres_per_px, 0.003)
        opening = clamp((gap - np.abs(lateral)) / soft + 0.5, 0.0, 1.0) * is_front * is_above
        inner = outfit.inner(trunk.along_N, trunk.around_N, patch.metres_per_px)
        rgb = rgb + opening[:, None] * (inner - rgb)
        lapel = clamp(1.5 - np.abs(np.abs(lateral) - gap - 0.012) / 0.010, 0.0, 1.0) * is_front * is_above
        return rgb * (1.0 - 0.4 * lapel)[:, None]
    if outfit.has_collar:
        placket = clamp(1.5 - np.abs(np.abs(lateral) - 0.016) / 0.003, 0.0, 1.0) * 0.25
        button = clamp(1.6 - np.hypot(lateral, np.mod(trunk.along_N, 0.085) - 0.04) / 0.005, 0.0, 1.0) * 0.55
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
