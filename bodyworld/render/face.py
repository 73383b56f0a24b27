"""The painted face. Features are painted where they sit on the head, so they turn with it."""

from dataclasses import dataclass

import numpy as np

from bodyworld.render.arrays import Floats, clamp
from bodyworld.render.identity import EYE_COLOURS, HAIR_COLOURS, BodyIdentity
from bodyworld.render.limbs import skin_paint
from bodyworld.render.noise import sample_noise
from bodyworld.render.scene import Scene
from bodyworld.render.shapes import Coat, Paint, Patch
from bodyworld.render.skeleton import Skeleton
from bodyworld.render.skull import BROW_T, EYE_T, MOUTH_T, NOSE_T, eye_azimuth

_FINEST_PX_M = 0.0006  # edges softer than this look the same at any size of picture


@dataclass(kw_only=True)
class FaceCanvas:
    """The pixels of the front of one head, painted feature by feature."""

    rgb_N3: Floats
    """Colours so far; each feature paints over them."""
    x_N: Floats
    """Distance from the middle of the face along the skin, metres, to the person's left."""
    y_N: Floats
    """Height above the chin, metres."""
    pixel_m: float
    """Width of a pixel, metres: how soft an edge must be."""
    identity: BodyIdentity
    scene: Scene
    head_m: float
    """Height of the head."""
    half_m: float
    """Half the width of the face."""

    @property
    def skin(self) -> Floats:
        """Colour of the skin, (3,)."""
        return self.identity.skin_rgb()

    @property
    def hair(self) -> Floats:
        """Colour of brows and beard, (3,)."""
        return np.array(HAIR_COLOURS[self.identity.hair_colour], np.float32)

    @property
    def eye_x(self) -> float:
        """Distance of an eye from the middle of the face, metres."""
        return eye_azimuth(self.identity) * self.half_m

    def cover(self, colour: Floats, share_N: Floats) -> None:
        """Paint a colour, (3,) or (N, 3), over a share of each pixel."""
        self.rgb_N3 = self.rgb_N3 + clamp(share_N, 0.0, 1.0)[:, None] * (colour - self.rgb_N3)

    def darken(self, share_N: Floats) -> None:
        """Take a share of the light from each pixel."""
        self.rgb_N3 = self.rgb_N3 * (1.0 - share_N)[:, None]

    def soft_edge(self, inside_m_N: Floats) -> Floats:
        """Share of each pixel inside an outline, given how far inside its centre lies, metres."""
        return clamp(inside_m_N / self.pixel_m + 0.5, 0.0, 1.0)


def face_paint(skeleton: Skeleton, identity: BodyIdentity, scene: Scene) -> Paint:
    """Skin with eyes, brows, mouth, cheeks, beard and glasses."""
    bare = skin_paint(identity.skin_rgb(), 0.3)
    size = skeleton.size

    def paint(patch: Patch) -> Coat:
        azimuth = np.arcsin(patch.u_N) - skeleton.head_yaw
        azimuth = np.mod(azimuth + np.pi, 2 * np.pi) - np.pi
        rgb = np.array(np.broadcast_to(bare(patch).rgb_N3, (patch.t_N.size, 3)), np.float32)
        front = np.flatnonzero(np.abs(azimuth) < 1.5)
        if front.size:
            face = FaceCanvas(
                rgb_N3=rgb[front],
                x_N=azimuth[front] * size.face_half,
                y_N=patch.t_N[front] * size.head,
                pixel_m=max(patch.metres_per_px, _FINEST_PX_M),
                identity=identity,
                scene=scene,
                head_m=size.head,
                half_m=size.face_half,
            )
            _paint_features(face)
            rgb[front] = face.rgb_N3
        return Coat(rgb_N3=rgb, gloss=0.25)

    return paint


def _paint_features(face: FaceCanvas) -> None:
    """Paint everything on the face, what lies on top last."""
    _paint_cheeks(face)
    if face.identity.beard > 0:
        _paint_beard(face)
    _paint_mouth(face)
    _paint_brows(face)
    _paint_eyes(face)
    if face.identity.glasses > 0.5:
        _paint_glasses(face)


def _paint_cheeks(face: FaceCanvas) -> None:
    """Blush, and the shadow under the nose."""
    x, y = face.x_N, face.y_N
    blush = np.exp(
        -(np.square((np.abs(x) - face.half_m * 0.58) / 0.022) + np.square((y - face.head_m * 0.31) / 0.02))
    )
    face.rgb_N3 = face.rgb_N3 * (1.0 - blush[:, None] * np.array([0.0, 0.10, 0.08], np.float32))
    under_nose = np.exp(-(np.square(x / 0.013) + np.square((y - face.head_m * (NOSE_T - 0.055)) / 0.006)))
    face.darken(0.30 * under_nose)


def _paint_eyes(face: FaceCanvas) -> None:
    """Socket shade, white, iris, pupil, glint, lid line."""
    identity, x = face.identity, face.x_N
    width = face.head_m * (0.058 + 0.020 * identity.eye_size)
    tall = width * (0.42 + 0.14 * identity.eye_size)
    dx, dy = np.abs(x) - face.eye_x, face.y_N - EYE_T * face.head_m
    socket = np.exp(-(np.square(dx / (width * 1.5)) + np.square((dy - tall * 0.5) / (tall * 2.4))))
    face.darken(0.24 * socket)
    lens = 1.0 - np.square(dx / width) - np.abs(dy) / tall
    face.cover(face.skin * 0.25, clamp(1.0 - np.abs(lens - 0.02) * 5.0, 0, 1) * (dy > -tall * 0.3) * 0.85)
    white = clamp(lens * (tall / face.pixel_m * 0.6) + 0.5, 0.0, 1.0)
    face.cover(np.array([0.88, 0.86, 0.84], np.float32), white)
    radius = tall * 0.92
    distance = np.hypot(dx, dy)
    iris_rgb = np.array(EYE_COLOURS[identity.eye_colour], np.float32)
    face.cover(iris_rgb, face.soft_edge(radius - distance) * white)
    face.cover(np.full(3, 0.03, np.float32), face.soft_edge(radius * 0.48 - distance) * white)
    from_glint = np.hypot(x - np.sign(x) * face.eye_x + radius * 0.3, dy - radius * 0.35)
    face.cover(np.ones(3, np.float32), face.soft_edge(radius * 0.24 - from_glint) * white * 0.9)
    lid_shade = clamp((dy - tall * 0.15) / (tall * 0.7), 0.0, 1.0) * white
    face.darken(0.40 * lid_shade)


def _paint_brows(face: FaceCanvas) -> None:
    """An arch over each eye that thins out towards the temple."""
    width = face.head_m * 0.082
    thick = face.head_m * (0.010 + 0.018 * face.identity.brow_thickness)
    dx = (np.abs(face.x_N) - face.eye_x * 1.04) / width
    arch = BROW_T * face.head_m - 0.006 * np.square(dx) - 0.003 * dx
    taper = thick * clamp(1.15 - 0.55 * np.maximum(dx, 0.0), 0.1, 1.0)
    share = clamp((taper - np.abs(face.y_N - arch)) / face.pixel_m * 0.6 + 0.4, 0.0, 1.0)
    face.cover(face.hair * 0.75, share * (np.abs(dx) < 1.0) * 0.85)


def _paint_mouth(face: FaceCanvas) -> None:
    """Lips along a line that a smile bends; teeth where the smile is wide, else the gap between the lips."""
    identity, smile = face.identity, face.scene.smile
    width = face.half_m * (0.34 + 0.16 * identity.mouth_width)
    thick = face.head_m * (0.016 + 0.020 * identity.lip_fullness)
    across = face.x_N / width
    line = MOUTH_T * face.head_m + 0.010 * smile * np.square(across) * face.head_m / 0.22
    bow = clamp(1.0 - np.square(across), 0.0, 1.0)
    dy = face.y_N - line
    lips = face.soft_edge(np.where(dy > 0, thick * 0.75, thick) * np.sqrt(bow) - np.abs(dy))
    colour = face.skin * np.array([0.86, 0.55, 0.55], np.float32) + np.array([0.06, 0.0, 0.01], np.float32)
    face.cover(colour, lips * (bow > 0) * (0.6 + 0.35 * identity.lip_fullness))
    if smile > 0.72:
        teeth = face.soft_edge(thick * 0.42 * bow - np.abs(dy)) * (np.abs(across) < 0.8)
        face.cover(np.array([0.93, 0.92, 0.89], np.float32), teeth)
        return
    gap = clamp(1.0 - np.abs(dy) / max(face.pixel_m * 0.7, 0.0012), 0.0, 1.0) * (np.abs(across) < 0.96)
    face.cover(face.skin * 0.28, gap * 0.8)


def _paint_beard(face: FaceCanvas) -> None:
    """Hair on chin, cheeks and upper lip; a beard of 0.5 is stubble, one of 1 is dense."""
    side = np.abs(face.x_N) / face.half_m
    upper = face.head_m * np.interp(
        side, [0.0, 0.25, 0.45, 0.8, 1.05, 1.25, 1.5], [0.27, 0.26, 0.20, 0.24, 0.36, 0.5, 0.5]
    )
    noise = sample_noise(face.x_N * 9.0, face.y_N * 5.0, 4)
    density = 0.35 + 0.6 * (face.identity.beard - 0.5) * 2
    share = clamp((upper - face.y_N) / 0.008 + 0.25 * noise, 0.0, 1.0) * density
    face.cover(face.hair * (0.8 + 0.12 * noise)[:, None], share)


def _paint_glasses(face: FaceCanvas) -> None:
    """Two rounded frames, the bridge between them and the temples beside them."""
    head, x = face.head_m, np.abs(face.x_N)
    dx, dy = x - face.eye_x, face.y_N - (EYE_T - 0.01) * head
    ring = np.power(
        np.power(np.abs(dx / (head * 0.105)), 3) + np.power(np.abs(dy / (head * 0.085)), 3), 1 / 3
    )
    line = max(0.0022, 0.6 * face.pixel_m) / (head * 0.09)
    frame = clamp((line - np.abs(ring - 1.0)) / line + 0.5, 0.0, 1.0)
    bridge = (x < face.eye_x - head * 0.10) & (np.abs(dy - head * 0.02) < 0.0022)
    temple = (x > face.eye_x + head * 0.10) & (np.abs(dy - head * 0.03) < 0.0024)
    face.cover(
        np.array([0.07, 0.06, 0.06], np.float32), np.maximum(frame, (bridge | temple).astype(np.float32))
    )
