"""The painted face. Features are painted where they sit on the head, so they turn with it."""

from __future__ import annotations

import numpy as np

from bodyworld.render.body import Skeleton
from bodyworld.render.identity import EYE_COLOURS, HAIR_COLOURS, BodyIdentity
from bodyworld.render.limbs import skin_paint
from bodyworld.render.scene import Scene
from bodyworld.render.shading import Coat, Floats, Paint, Patch, clamp, sample_noise
from bodyworld.render.skull import BROW_T, EYE_T, MOUTH_T, NOSE_T, eye_azimuth


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
