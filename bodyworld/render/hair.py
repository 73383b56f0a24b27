"""Hair: a cap around the skull with a hairline, and what hangs or stands from it."""

import numpy as np

from bodyworld.render.arrays import Floats, clamp
from bodyworld.render.identity import HAIR_COLOURS, BodyIdentity
from bodyworld.render.limbs import limb
from bodyworld.render.noise import sample_noise
from bodyworld.render.shapes import TABLE_SIZE, Coat, Lathe, Paint, Patch, profile, turned_outline
from bodyworld.render.skeleton import Skeleton
from bodyworld.render.skull import HeadShape, dome, head_point, head_shape

_STEPS = np.linspace(0.0, 1.0, TABLE_SIZE)

_HAIRLINE = {
    "short": (
        (0, 0.85),
        (30, 0.83),
        (52, 0.74),
        (64, 0.60),
        (76, 0.52),
        (125, 0.52),
        (148, 0.24),
        (180, 0.10),
    ),
    "bob": ((0, 0.74), (28, 0.72), (40, 0.62), (50, 0.3), (58, -3), (180, -3)),
    "long": ((0, 0.86), (14, 0.84), (34, 0.70), (46, 0.36), (54, -3), (180, -3)),
    "afro": ((0, 0.80), (16, 0.78), (26, 0.68), (31, 0.40), (34, -3), (180, -3)),
    "bun": ((0, 0.84), (35, 0.79), (58, 0.66), (74, 0.54), (125, 0.54), (148, 0.28), (180, 0.14)),
}
"""Hairline of each style, as points (degrees from the middle of the face, height on the head)."""


def hair_parts(skeleton: Skeleton, identity: BodyIdentity) -> list[Lathe]:
    """A cap that follows the skull down to a hairline, and what hangs or stands from it."""
    style = identity.hair_style
    if style == "bald":
        return []
    scale = skeleton.size.head / 0.22
    volume = identity.hair_volume
    thick = {"short": 0.007 + 0.012 * volume, "afro": 0.045 + 0.050 * volume, "bob": 0.017 + 0.016 * volume}
    paint = strand_paint(np.array(HAIR_COLOURS[identity.hair_colour], np.float32))
    parts = [hair_cap(skeleton, identity, thick.get(style, 0.010 + 0.013 * volume) * scale)]
    if style == "long":
        parts += front_locks(skeleton, identity, paint)
    crown, back = skeleton.joints["crown"], -skeleton.head_turn[:, 2]
    up = (crown - skeleton.joints["chin"]) / skeleton.size.head
    if style == "bun":
        centre = (crown + back * 0.05 * scale + up * 0.012).astype(np.float32)
        radius = (0.034 + 0.018 * volume) * scale
        ball = profile(((0, radius), (1, radius)))
        parts.append(limb(centre, (centre + up * 0.012).astype(np.float32), ball, paint))
    if style == "ponytail":
        root = (crown + back * 0.085 * scale - up * 0.05).astype(np.float32)
        knee = (root + back * 0.05 - up * 0.05).astype(np.float32)
        tip = (knee + back * 0.01 - np.array([0, 0.16 + 0.26 * identity.hair_length, 0])).astype(np.float32)
        table = profile(((0, 0.028), (0.3, 0.036 + 0.012 * volume), (0.75, 0.026), (1, 0.006))) * scale
        parts += [
            limb(root, knee, profile(((0, 0.024), (1, 0.028))) * scale, paint),
            limb(knee, tip, table, paint),
        ]
    return parts


def front_locks(skeleton: Skeleton, identity: BodyIdentity, paint: Paint) -> list[Lathe]:
    """Two strands of long hair that fall in front of the shoulders."""
    size = skeleton.size
    scale = size.head / 0.22
    table = (
        profile(((0, 0.020), (0.3, 0.032 + 0.012 * identity.hair_volume), (0.8, 0.024), (1, 0.006))) * scale
    )
    drop = size.torso * (0.12 + 0.36 * identity.hair_length)
    parts: list[Lathe] = []
    for sign in (1.0, -1.0):
        root = head_point(identity, skeleton, sign * 1.25, 0.42, 0.006)
        chest = skeleton.place((sign * size.shoulder_half * 0.46, -drop, size.chest_depth * 0.85 + 0.03))
        parts.append(limb(root, (skeleton.joints["neck"] + chest).astype(np.float32), table, paint))
    return parts


def hair_cap(skeleton: Skeleton, identity: BodyIdentity, thick: float) -> Lathe:
    """Hair around the skull, open over the face."""
    shape = head_shape(identity, skeleton)
    top = thick / skeleton.size.head
    hang = {"bob": 0.02 + 0.28 * identity.hair_length, "long": 0.6 + 1.2 * identity.hair_length, "afro": 0.08}
    low = -hang.get(identity.hair_style, 0.0)
    t = np.linspace(low, 1.0 + top, TABLE_SIZE)
    outline = _ball_hair if identity.hair_style == "afro" else _falling_hair if low < 0.0 else _close_hair
    half, front, back = outline(shape, t, thick, identity.hair_volume)
    left, right, depth = turned_outline(half, front, back, skeleton.head_yaw)
    span = skeleton.joints["crown"] - skeleton.joints["chin"]
    return Lathe(
        start=(skeleton.joints["chin"] + span * low).astype(np.float32),
        end=(skeleton.joints["crown"] + span * top).astype(np.float32),
        left_m=left,
        right_m=right,
        depth_m=depth + np.float32(0.006),
        paint=cap_paint(skeleton, identity, low, top),
        is_flat_start=True,
        is_flat_end=True,
    )


def _close_hair(shape: HeadShape, t: Floats, thick: float, volume: float) -> tuple[Floats, Floats, Floats]:
    """Half width, front and back of hair that follows the skull, along t; the volume makes no difference."""
    del volume
    close = dome(t, 0.58, float(t[-1]))
    place = clamp(t, 0.0, 1.0)
    tables = (shape.skull_width, shape.skull_front, shape.skull_back)
    half, front, back = ((np.interp(place, _STEPS, table) + thick) * close for table in tables)
    return half, front, back


def _falling_hair(shape: HeadShape, t: Floats, thick: float, volume: float) -> tuple[Floats, Floats, Floats]:
    """Half width, front and back of hair that hangs beside and behind the face."""
    close = dome(t, 0.58, float(t[-1]))
    end = float(t[0])
    widest, deepest, front = (
        float(table.max()) for table in (shape.skull_width, shape.skull_back, shape.skull_front)
    )
    fall = 1.0 + 0.20 * volume
    narrowing = 1.0 - 0.35 * clamp((end + 0.45 - t) / 0.45, 0.0, 1.0) * (end < -0.5)
    half = (np.interp(t, [end, -0.2, 0.6], [widest * fall * 1.02, widest * fall, widest]) + thick) * narrowing
    fore = np.interp(t, [end, 0.0, 0.3, 0.62, 0.80], [0.0, 0.1, 0.40, 0.85, 1.0]) * front
    fore = fore + thick * clamp((t - 0.3) / 0.5, 0.0, 1.0)
    back = (np.interp(t, [end, 0.0, 0.5], [0.70, 0.86, 1.0]) * deepest + thick) * narrowing
    return half * close, fore * close, back * close


def _ball_hair(shape: HeadShape, t: Floats, thick: float, volume: float) -> tuple[Floats, Floats, Floats]:
    """Half width, front and back of an afro: a ball around the skull, open over the face."""
    del volume
    middle = 0.56
    upper, lower = (t - middle) / (float(t[-1]) - middle), (middle - t) / (middle - float(t[0]))
    ball = np.sqrt(clamp(1.0 - np.square(np.maximum(upper, lower)), 0.0, 1.0))
    front = float(shape.skull_front.max())
    fore = np.interp(t, [0.0, 0.5, 0.8], [0.05, 0.25, 1.0]) * (front + 0.6 * thick)
    half, back = float(shape.skull_width.max()) + thick, float(shape.skull_back.max()) * 0.9 + thick
    return half * ball, fore * ball, back * ball


def cap_paint(skeleton: Skeleton, identity: BodyIdentity, low: float, top: float) -> Paint:
    """A paint of strands that leaves the face open; `low` and `top` are the heights on the head where hair ends."""
    style = "bun" if identity.hair_style == "ponytail" else identity.hair_style
    angles, heights = (np.array(values) for values in zip(*_HAIRLINE[style], strict=True))
    colour = np.array(HAIR_COLOURS[identity.hair_colour], np.float32)
    strands = strand_paint(colour, is_curly=style == "afro")

    def paint(patch: Patch) -> Coat:
        azimuth = np.mod(np.arcsin(patch.u_N) - skeleton.head_yaw + np.pi, 2 * np.pi) - np.pi
        t = low + patch.t_N * (1.0 + top - low)
        noise = sample_noise(azimuth * 0.7, t * 0.05, 5)
        line = np.interp(np.degrees(np.abs(azimuth)), angles, heights) + 0.012 * noise
        soft = max(patch.metres_per_px / skeleton.size.head, 0.008)
        opacity = clamp((t - line) / soft + 0.5, 0.0, 1.0)
        if low < 0.0 and style != "afro":
            opacity = opacity * clamp((t - low) / 0.05 + 0.6 * noise, 0.0, 1.0)
        coat = strands(patch)
        return Coat(rgb_N3=coat.rgb_N3, opacity_N=opacity.astype(np.float32), gloss=coat.gloss)

    return paint


def strand_paint(colour: Floats, is_curly: bool = False) -> Paint:
    """A paint of hair: streaks along the shape, or curls."""

    def paint(patch: Patch) -> Coat:
        angle = np.arcsin(patch.u_N)
        if is_curly:
            streak = sample_noise(angle * 0.9, patch.t_N * 1.4, 6)
        else:
            streak = 0.7 * sample_noise(angle * 1.1, patch.t_N * 0.06, 5)
            streak += 0.3 * sample_noise(angle * 0.3, patch.t_N * 0.1, 5)
        band = np.exp(-np.square((patch.t_N - 0.8) / 0.12)) * 0.08
        rgb = colour * (1.0 + 0.20 * streak)[:, None] + (band * (1.0 + 0.6 * streak))[:, None] * (
            0.25 + colour
        )
        return Coat(rgb_N3=clamp(rgb, 0.0, 1.0).astype(np.float32), gloss=0.12 if is_curly else 0.35)

    return paint
