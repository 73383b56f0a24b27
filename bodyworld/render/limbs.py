"""Arms and legs: each limb is one round shape whose paint knows where the garment ends and skin begins."""

from dataclasses import replace

import numpy as np

from bodyworld.render.arrays import Floats, clamp
from bodyworld.render.clothes import Fabric, Outfit
from bodyworld.render.identity import BodyIdentity
from bodyworld.render.noise import sample_noise
from bodyworld.render.shapes import TABLE_SIZE, Coat, Lathe, Paint, Patch, plain_paint, profile
from bodyworld.render.skeleton import SIDES, Skeleton

_STEPS = np.linspace(0.0, 1.0, TABLE_SIZE, dtype=np.float32)

# Half widths along each limb, as shares of the limb's own width.
UPPER_ARM = profile(((0, 0.92), (0.18, 1.04), (0.45, 0.95), (0.8, 0.76), (1, 0.74)))
FOREARM = profile(((0, 0.92), (0.22, 1.02), (0.6, 0.78), (1, 0.54)))
THIGH = profile(((0, 1.0), (0.25, 0.98), (0.6, 0.82), (0.9, 0.64), (1, 0.62)))
SHIN_FRONT = profile(((0, 0.84), (0.1, 0.80), (0.5, 0.72), (0.8, 0.50), (1, 0.44)))
SHIN_BACK = profile(((0, 0.84), (0.12, 0.92), (0.3, 1.24), (0.5, 1.08), (0.78, 0.56), (1, 0.46)))


def skin_paint(skin: Floats, gloss: float = 0.22) -> Paint:
    """A paint of bare skin: a little mottled, redder where it curves away."""

    def paint(patch: Patch) -> Coat:
        mottle = 1.0 + 0.018 * sample_noise(patch.u_N * 0.3, patch.t_N * 0.7, 2)
        edge = np.square(patch.u_N)[:, None] * np.array([-0.02, -0.06, -0.07], np.float32)
        return Coat(rgb_N3=skin * mottle[:, None] + edge * skin, gloss=gloss)

    return paint


def limb_paint(
    skin: Floats, fabric: Fabric | None, cover: float, length_m: float, offset_m: float = 0.0
) -> Paint:
    """A paint of cloth on the first `cover` share of a limb, with a seam and a shadow at the hem, and of skin below."""
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
    """A round limb that is thicker by `ease_m` where cloth covers it.

    Args:
        start: (3,) metres.
        end: (3,) metres.
        width_m: (TABLE_SIZE,) half widths, on the left.
        paint: paint of the whole limb.
        cover: share of the limb under cloth; 1.2 and more for all of it, its round end too.
        ease_m: air between skin and cloth.
        other_m: half widths on the right, if they differ.
    """
    cloth = ease_m * clamp((cover - _STEPS) * 60.0, 0.0, 1.0) if cover < 1.2 else np.full(TABLE_SIZE, ease_m)
    left = (width_m + cloth).astype(np.float32)
    right = left if other_m is None else (other_m + cloth).astype(np.float32)
    return Lathe(start=start, end=end, left_m=left, right_m=right, depth_m=0.5 * (left + right), paint=paint)


def arm_parts(skeleton: Skeleton, identity: BodyIdentity, outfit: Outfit) -> list[Lathe]:
    """Upper arms, forearms and hands of both sides."""
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
    """Palm, thumb, and four fingers; a mitten where the picture is too coarse for fingers."""
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
