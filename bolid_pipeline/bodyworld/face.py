"""Head, face and hair. The head is one shape; features are painted where they sit on it, so they turn with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bolid_pipeline.bodyworld.body import Skeleton
from bolid_pipeline.bodyworld.clothes import limb, neck_half_m, skin_paint, turned_outline
from bolid_pipeline.bodyworld.identity import EYE_COLOURS, HAIR_COLOURS, BodyIdentity
from bolid_pipeline.bodyworld.scene import Scene
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

# Height of features over the head's height, chin 0 .. crown 1.
EYE_T, BROW_T, NOSE_T, MOUTH_T, EAR_T = 0.50, 0.605, 0.335, 0.20, 0.46
_STEPS = np.linspace(0.0, 1.0, TABLE_SIZE)
_FRONT = profile(
    ((0, 0.70), (0.05, 0.80), (0.12, 0.86), (0.2, 0.90), (0.33, 0.93), (0.46, 0.92), (0.58, 0.99), (0.75, 0.98),
     (1, 0.92))
)  # fmt: skip
_BACK = profile(
    ((0, 0.0), (0.12, 0.25), (0.22, 0.52), (0.36, 0.82), (0.5, 1.0), (0.66, 1.06), (0.8, 1.07), (1, 1.05))
)


@dataclass(frozen=True, kw_only=True)
class HeadShape:
    """The head along its axis, chin 0 .. crown 1, (TABLE_SIZE,) metres each; `skull_*` without the closing dome.

    `left`, `right` and `depth` are the outline as seen at `yaw` (radians).
    """

    skull_width: Floats
    skull_front: Floats
    skull_back: Floats
    left: Floats
    right: Floats
    depth: Floats
    yaw: float


def dome(t: Floats, start: float, end: float) -> Floats:
    """1 up to `start`, then closing to 0 at `end` like a skull."""
    return np.sqrt(clamp(1.0 - clamp((t - start) / (end - start), 0.0, 1.0) ** 2.3, 0.0, 1.0))


@lru_cache(maxsize=256)
def _shape(jaw: float, half: float, head: float, yaw: float) -> HeadShape:
    depth = head * 0.415
    width = half * profile(
        ((0, 0.40 + 0.16 * jaw), (0.06, 0.48 + 0.16 * jaw), (0.14, 0.60 + 0.18 * jaw), (0.25, 0.78 + 0.12 * jaw),
         (0.4, 0.93), (0.55, 1.0), (0.7, 1.0), (1, 0.94))
    )  # fmt: skip
    ends = dome(_STEPS, 0.60, 1.0) * np.sqrt(
        clamp(1.0 - np.square(1.0 - np.minimum(_STEPS / 0.07, 1.0)), 0.0, 1.0)
    )
    left, right, deep = turned_outline(width * ends, _FRONT * depth * ends, _BACK * depth * ends, yaw)
    return HeadShape(
        skull_width=width,
        skull_front=_FRONT * depth,
        skull_back=_BACK * depth,
        left=left,
        right=right,
        depth=deep,
        yaw=yaw,
    )


def head_shape(identity: BodyIdentity, skeleton: Skeleton) -> HeadShape:
    """The shape of a head as it is turned now."""
    return _shape(identity.jaw, skeleton.size.face_half, skeleton.size.head, skeleton.head_yaw)


def head_point(
    identity: BodyIdentity, skeleton: Skeleton, azimuth: float, t: float, out_m: float = 0.0
) -> Floats:
    """A point on the head's surface in camera space: azimuth from the nose towards the person's left, height t."""
    shape = head_shape(identity, skeleton)
    index = int(min(max(t, 0.0), 1.0) * (TABLE_SIZE - 1))
    axis = skeleton.joints["crown"] - skeleton.joints["chin"]
    base = skeleton.joints["chin"] + axis * t
    angle = azimuth + skeleton.head_yaw
    half = float((shape.right if math.sin(angle) > 0 else shape.left)[index])
    tall = max(math.hypot(float(axis[0]), float(axis[1])), 1e-6)
    across = math.sin(angle) * (half + out_m)
    move = (
        axis[1] / tall * across,
        -axis[0] / tall * across,
        math.cos(angle) * (float(shape.depth[index]) + out_m),
    )
    return (base + np.array(move, np.float32)).astype(np.float32)


def eye_azimuth(identity: BodyIdentity) -> float:
    """Angle of an eye from the middle of the face, radians."""
    return 0.40 + 0.12 * identity.eye_spacing


def head_parts(skeleton: Skeleton, identity: BodyIdentity, scene: Scene) -> list[Lathe]:
    """Neck, ears, head with face, nose, hair, and what may cover the face."""
    skin = identity.skin_rgb()
    chin, crown = skeleton.joints["chin"], skeleton.joints["crown"]
    shape = head_shape(identity, skeleton)
    head = Lathe(
        start=chin,
        end=crown,
        left_m=shape.left,
        right_m=shape.right,
        depth_m=shape.depth,
        paint=face_paint(skeleton, identity, scene),
        is_flat_start=True,
        is_flat_end=True,
    )
    parts = [neck_part(skeleton, identity), *ear_parts(skeleton, identity), head]
    parts += nose_parts(skeleton, identity, skin)
    parts += hair_parts(skeleton, identity)
    return parts + cover_parts(skeleton, scene)


def neck_part(skeleton: Skeleton, identity: BodyIdentity) -> Lathe:
    """From inside the trunk to inside the skull."""
    half = neck_half_m(identity, skeleton.size)
    root = skeleton.joints["neck"] - (skeleton.joints["neck"] - skeleton.joints["pelvis"]) * 0.06
    top = 0.62 * skeleton.joints["chin"] + 0.38 * skeleton.joints["crown"] - skeleton.head_turn[:, 2] * 0.03
    bare = skin_paint(identity.skin_rgb(), 0.1)

    def paint(patch: Patch) -> Coat:
        coat = bare(patch)
        under_chin = clamp((patch.t_N - 0.40) * 2.2, 0.0, 1.0)
        return Coat(rgb_N3=coat.rgb_N3 * (1.0 - 0.34 * under_chin)[:, None], gloss=0.1)

    table = profile(((0, 1.35), (0.22, 1.08), (0.45, 0.98), (1, 0.98))) * half
    return limb(root.astype(np.float32), top.astype(np.float32), table, paint)


def ear_parts(skeleton: Skeleton, identity: BodyIdentity) -> list[Lathe]:
    """Two small shells; none under hair that falls over them."""
    if identity.hair_style in ("bob", "long", "afro"):
        return []
    scale = skeleton.size.head / 0.22
    table = profile(((0, 0.008), (0.4, 0.013), (1, 0.016))) * scale
    paint = skin_paint(identity.skin_rgb() * np.array([0.97, 0.88, 0.86], np.float32))
    parts: list[Lathe] = []
    for sign in (1.0, -1.0):
        low = head_point(identity, skeleton, sign * 1.68, 0.36, 0.002)
        high = head_point(identity, skeleton, sign * 1.72, 0.53, 0.006)
        parts.append(limb(low, high, table, paint))
    return parts


def nose_parts(skeleton: Skeleton, identity: BodyIdentity, skin: Floats) -> list[Lathe]:
    """Bridge and tip, standing out of the face so that a profile shows them."""
    scale = skeleton.size.head / 0.22
    length = 0.008 + 0.020 * identity.nose_length
    bridge = head_point(identity, skeleton, 0.0, EYE_T + 0.05, -0.005)
    tip = nose_tip(skeleton, identity)
    paint = skin_paint(skin * np.array([1.0, 0.96, 0.95], np.float32), 0.3)
    table = profile(((0, 0.0050), (0.55, 0.0075), (1, 0.0085 + 0.1 * length))) * scale
    wing = profile(((0, 0.0078), (1, 0.0075))) * scale
    nostrils = [head_point(identity, skeleton, sign * 0.15, NOSE_T - 0.012, 0.003) for sign in (1.0, -1.0)]
    return [limb(bridge, tip, table, paint), *(limb(tip, nostril, wing, paint) for nostril in nostrils)]


def nose_tip(skeleton: Skeleton, identity: BodyIdentity) -> Floats:
    """Centre of the tip in camera space."""
    return head_point(identity, skeleton, 0.0, NOSE_T, 0.003 + 0.016 * identity.nose_length)


def face_paint(skeleton: Skeleton, identity: BodyIdentity, scene: Scene) -> Paint:
    """Skin with eyes, brows, mouth, cheeks, beard; coordinates in metres on the face, x to the person's left."""
    skin = identity.skin_rgb()
    bare = skin_paint(skin, 0.3)
    size = skeleton.size
    hair = np.array(HAIR_COLOURS[identity.hair_colour], np.float32)

    def paint(patch: Patch) -> Coat:
        azimuth = np.arcsin(patch.u_N) - skeleton.head_yaw
        azimuth = np.mod(azimuth + np.pi, 2 * np.pi) - np.pi
        rgb = np.array(np.broadcast_to(bare(patch).rgb_N3, (patch.t_N.size, 3)), np.float32)
        front = np.flatnonzero(np.abs(azimuth) < 1.5)
        if front.size:
            x = azimuth[front] * size.face_half
            y = patch.t_N[front] * size.head
            pixel = max(patch.metres_per_px, 0.0006)
            rgb[front] = _features(
                rgb[front], x, y, pixel, identity, scene, size.head, size.face_half, skin, hair
            )
        return Coat(rgb_N3=rgb, gloss=0.25)

    return paint


def _features(
    rgb: Floats,
    x: Floats,
    y: Floats,
    pixel: float,
    identity: BodyIdentity,
    scene: Scene,
    head: float,
    half: float,
    skin: Floats,
    hair: Floats,
) -> Floats:
    blush = np.exp(-(np.square((np.abs(x) - half * 0.58) / 0.022) + np.square((y - head * 0.31) / 0.02)))
    rgb = rgb * (1.0 - blush[:, None] * np.array([0.0, 0.10, 0.08], np.float32))
    under_nose = np.exp(-(np.square(x / 0.013) + np.square((y - head * (NOSE_T - 0.055)) / 0.006)))
    rgb = rgb * (1.0 - 0.30 * under_nose)[:, None]
    if identity.beard > 0:
        rgb = _beard(rgb, x, y, identity, head, half, hair)
    rgb = _mouth(rgb, x, y, pixel, identity, scene, head, half, skin)
    rgb = _brows(rgb, x, y, pixel, identity, head, half, hair)
    rgb = _eyes(rgb, x, y, pixel, identity, head, half, skin)
    return _glasses(rgb, x, y, pixel, identity, head, half) if identity.glasses > 0.5 else rgb


def _cover(rgb: Floats, colour: Floats, share: Floats) -> Floats:
    return rgb + clamp(share, 0.0, 1.0)[:, None] * (colour - rgb)


def _eyes(
    rgb: Floats,
    x: Floats,
    y: Floats,
    pixel: float,
    identity: BodyIdentity,
    head: float,
    half: float,
    skin: Floats,
) -> Floats:
    """Socket shade, white, iris, pupil, glint, lid line."""
    centre = eye_azimuth(identity) * half
    width = head * (0.058 + 0.020 * identity.eye_size)
    tall = width * (0.42 + 0.14 * identity.eye_size)
    dx, dy = np.abs(x) - centre, y - EYE_T * head
    socket = np.exp(-(np.square(dx / (width * 1.5)) + np.square((dy - tall * 0.5) / (tall * 2.4))))
    rgb = rgb * (1.0 - 0.24 * socket)[:, None]
    lens = 1.0 - np.square(dx / width) - np.abs(dy) / tall
    edge = tall / pixel * 0.6
    rgb = _cover(rgb, skin * 0.25, clamp(1.0 - np.abs(lens - 0.02) * 5.0, 0, 1) * (dy > -tall * 0.3) * 0.85)
    white = clamp(lens * edge + 0.5, 0.0, 1.0)
    rgb = _cover(rgb, np.array([0.88, 0.86, 0.84], np.float32), white)
    radius = tall * 0.92
    distance = np.hypot(dx, dy)
    iris = clamp((radius - distance) / pixel + 0.5, 0.0, 1.0) * white
    rgb = _cover(rgb, np.array(EYE_COLOURS[identity.eye_colour], np.float32), iris)
    pupil = clamp((radius * 0.48 - distance) / pixel + 0.5, 0, 1) * white
    rgb = _cover(rgb, np.full(3, 0.03, np.float32), pupil)
    from_glint = np.hypot(x - np.sign(x) * centre + radius * 0.3, dy - radius * 0.35)
    glint = clamp((radius * 0.24 - from_glint) / pixel + 0.5, 0, 1)
    rgb = _cover(rgb, np.ones(3, np.float32), glint * white * 0.9)
    lid_shade = clamp((dy - tall * 0.15) / (tall * 0.7), 0.0, 1.0) * white
    return rgb * (1.0 - 0.40 * lid_shade)[:, None]


def _brows(
    rgb: Floats,
    x: Floats,
    y: Floats,
    pixel: float,
    identity: BodyIdentity,
    head: float,
    half: float,
    hair: Floats,
) -> Floats:
    centre = eye_azimuth(identity) * half
    width = head * 0.082
    thick = head * (0.010 + 0.018 * identity.brow_thickness)
    dx = (np.abs(x) - centre * 1.04) / width
    arch = BROW_T * head - 0.006 * np.square(dx) - 0.003 * dx
    taper = thick * clamp(1.15 - 0.55 * np.maximum(dx, 0.0), 0.1, 1.0)
    share = clamp((taper - np.abs(y - arch)) / pixel * 0.6 + 0.4, 0.0, 1.0) * (np.abs(dx) < 1.0)
    return _cover(rgb, hair * 0.75, share * 0.85)


def _mouth(
    rgb: Floats,
    x: Floats,
    y: Floats,
    pixel: float,
    identity: BodyIdentity,
    scene: Scene,
    head: float,
    half: float,
    skin: Floats,
) -> Floats:
    width = half * (0.34 + 0.16 * identity.mouth_width)
    thick = head * (0.016 + 0.020 * identity.lip_fullness)
    across = x / width
    line = MOUTH_T * head + 0.010 * scene.smile * np.square(across) * head / 0.22
    bow = clamp(1.0 - np.square(across), 0.0, 1.0)
    dy = y - line
    lips = clamp((np.where(dy > 0, thick * 0.75, thick) * np.sqrt(bow) - np.abs(dy)) / pixel + 0.5, 0.0, 1.0)
    colour = skin * np.array([0.86, 0.55, 0.55], np.float32) + np.array([0.06, 0.0, 0.01], np.float32)
    rgb = _cover(rgb, colour, lips * (bow > 0) * (0.6 + 0.35 * identity.lip_fullness))
    if scene.smile > 0.72:
        teeth = clamp((thick * 0.42 * bow - np.abs(dy)) / pixel + 0.5, 0.0, 1.0) * (np.abs(across) < 0.8)
        return _cover(rgb, np.array([0.93, 0.92, 0.89], np.float32), teeth)
    gap = clamp(1.0 - np.abs(dy) / max(pixel * 0.7, 0.0012), 0.0, 1.0) * (np.abs(across) < 0.96)
    return _cover(rgb, skin * 0.28, gap * 0.8)


def _beard(
    rgb: Floats, x: Floats, y: Floats, identity: BodyIdentity, head: float, half: float, hair: Floats
) -> Floats:
    side = np.abs(x) / half
    upper = head * np.interp(
        side, [0.0, 0.25, 0.45, 0.8, 1.05, 1.25, 1.5], [0.27, 0.26, 0.20, 0.24, 0.36, 0.5, 0.5]
    )
    noise = sample_noise(x * 9.0, y * 5.0, 4)
    share = clamp((upper - y) / 0.008 + 0.25 * noise, 0.0, 1.0) * (0.35 + 0.6 * (identity.beard - 0.5) * 2)
    return _cover(rgb, hair * (0.8 + 0.12 * noise)[:, None], share)


def _glasses(
    rgb: Floats, x: Floats, y: Floats, pixel: float, identity: BodyIdentity, head: float, half: float
) -> Floats:
    centre = eye_azimuth(identity) * half
    dx, dy = np.abs(x) - centre, y - (EYE_T - 0.01) * head
    ring = np.power(
        np.power(np.abs(dx / (head * 0.105)), 3) + np.power(np.abs(dy / (head * 0.085)), 3), 1 / 3
    )
    line = max(0.0022, 0.6 * pixel) / (head * 0.09)
    frame = clamp((line - np.abs(ring - 1.0)) / line + 0.5, 0.0, 1.0)
    bridge = (np.abs(x) < centre - head * 0.10) & (np.abs(dy - head * 0.02) < 0.0022)
    temple = (np.abs(x) > centre + head * 0.10) & (np.abs(dy - head * 0.03) < 0.0024)
    return _cover(
        rgb, np.array([0.07, 0.06, 0.06], np.float32), np.maximum(frame, (bridge | temple).astype(np.float32))
    )


# Where hair begins: (degrees from the middle of the face, height on the head).
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
    """Half width, front, back of hair that follows the skull."""
    del volume
    close = dome(t, 0.58, float(t[-1]))
    place = clamp(t, 0.0, 1.0)
    tables = (shape.skull_width, shape.skull_front, shape.skull_back)
    half, front, back = ((np.interp(place, _STEPS, table) + thick) * close for table in tables)
    return half, front, back


def _falling_hair(shape: HeadShape, t: Floats, thick: float, volume: float) -> tuple[Floats, Floats, Floats]:
    """Half width, front, back of hair that hangs: wide at the sides, behind the face in front."""
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
    """Half width, front, back of an afro: a ball around the skull, behind the face in front."""
    del volume
    middle = 0.56
    upper, lower = (t - middle) / (float(t[-1]) - middle), (middle - t) / (middle - float(t[0]))
    ball = np.sqrt(clamp(1.0 - np.square(np.maximum(upper, lower)), 0.0, 1.0))
    front = float(shape.skull_front.max())
    fore = np.interp(t, [0.0, 0.5, 0.8], [0.05, 0.25, 1.0]) * (front + 0.6 * thick)
    half, back = float(shape.skull_width.max()) + thick, float(shape.skull_back.max()) * 0.9 + thick
    return half * ball, fore * ball, back * ball


def cap_paint(skeleton: Skeleton, identity: BodyIdentity, low: float, top: float) -> Paint:
    """Strands, transparent where the face is; `low` is the height of the tips on the head."""
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
    """Hair: streaks along the shape, or curls."""

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


def cover_parts(skeleton: Skeleton, scene: Scene) -> list[Lathe]:
    """Something in front of the face: a wide hat pulled down, or a board held up."""
    if scene.face_cover == "none":
        return []
    middle = 0.5 * (skeleton.joints["chin"] + skeleton.joints["crown"])
    up = (skeleton.joints["crown"] - skeleton.joints["chin"]) / skeleton.size.head
    near = np.array([0.0, 0.0, 0.16])
    if scene.face_cover == "hat":
        brim = middle + up * 0.05 + near
        felt = plain_paint(np.array([0.30, 0.24, 0.20], np.float32))
        wide = profile(((0, 0.21), (0.1, 0.22), (1, 0.19)))
        crown = profile(((0, 0.125), (0.6, 0.115), (1, 0.10)))
        return [
            _slab(middle - up * 0.13 + near, brim, wide, felt),
            _slab(brim, brim + up * 0.15, crown, felt),
        ]
    card = profile(((0, 0.15), (1, 0.15)))
    paper = plain_paint(np.array([0.85, 0.83, 0.75], np.float32))
    return [_slab(middle - up * 0.17 + near, middle + up * 0.12 + near, card, paper)]


def _slab(start: Floats, end: Floats, table: Floats, paint: Paint) -> Lathe:
    return Lathe(
        start=start.astype(np.float32),
        end=end.astype(np.float32),
        left_m=table,
        right_m=table,
        depth_m=table * 0.2,
        paint=paint,
        is_flat_start=True,
        is_flat_end=True,
    )
