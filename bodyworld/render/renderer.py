"""Photos of people with their ground truth: keypoints, person boxes, face boxes.

A photo is a pure function of its people, scenes and size; `rng` adds the film grain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bodyworld.render.arrays import Floats, clamp
from bodyworld.render.background import paint_background
from bodyworld.render.figure import Figure, line_up
from bodyworld.render.identity import BodyIdentity
from bodyworld.render.lighting import Light, composite
from bodyworld.render.rasteriser import Surface, View, draw
from bodyworld.render.scene import Scene
from bodyworld.render.shapes import Lathe
from bodyworld.render.visibility import find_face_box, find_keypoints, find_person_box

_BAND_ROWS = 32  # rows that `develop` works on at a time: what fits into the cache


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """A photo and what is on it, in pixels: x to the right, y down."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    keypoints: Floats
    """(17, 3) float32 of the first person, in COCO order: x_px, y_px, visibility 0 or 1."""
    person_boxes: Floats
    """(P, 4) float32 x0, y0, x1, y1 around what is seen of each person, clipped to the picture."""
    face_boxes: Floats
    """(F, 4) float32 around the faces that can be seen."""
    all_keypoints: Floats
    """(P, 17, 3) float32 of everybody."""


def render(
    people: Sequence[tuple[BodyIdentity, Scene]], height: int, width: int, rng: np.random.Generator
) -> Rendering:
    """Render a photo; background, light and camera come from the first person's scene."""
    figures = line_up(people)
    scene = people[0][1]
    view = frame(figures, scene, height, width)
    floor_y = _floor_y(view)
    picture = paint_background(
        scene.background, height, width, floor_y=floor_y, metre_px=view.scale, seed=scene.background_seed
    )
    surface = Surface(height, width)
    for number, figure in enumerate(figures):
        _ground_shadow(picture, figure, view, scene)
        for part in sorted(figure.parts, key=_mean_depth):
            draw(surface, view, part, number + 1)
    composite(surface, picture, scene_light(scene))
    image = develop(picture, scene, rng)
    all_keypoints = np.stack([find_keypoints(figure, view, surface) for figure in figures])
    faces = [find_face_box(figure, view, surface) for figure in figures]
    face_boxes = [box for box in faces if box is not None]
    return Rendering(
        image=image,
        keypoints=all_keypoints[0],
        person_boxes=np.stack([find_person_box(surface, n + 1) for n in range(len(figures))]),
        face_boxes=np.array(face_boxes, np.float32).reshape(-1, 4),
        all_keypoints=all_keypoints,
    )


def render_thumbnail(
    people: Sequence[tuple[BodyIdentity, Scene]], height: int, width: int, rng: np.random.Generator
) -> Rendering:
    """Render at twice the size and average down, which looks better in small pictures; boxes and keypoints follow."""
    large = render(people, 2 * height, 2 * width, rng)
    half = np.array([0.5, 0.5, 1.0], np.float32)
    return Rendering(
        image=cv2.resize(large.image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8),
        keypoints=large.keypoints * half,
        person_boxes=large.person_boxes * np.float32(0.5),
        face_boxes=large.face_boxes * np.float32(0.5),
        all_keypoints=large.all_keypoints * half,
    )


def render_place(
    kind: str, height: int, width: int, seed: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """A photo without anybody, (H, W, 3) uint8 RGB."""
    scene = Scene(background=kind, background_seed=seed, grain=0.01)
    picture = paint_background(kind, height, width, floor_y=height * 0.72, metre_px=height / 2.6, seed=seed)
    return develop(picture, scene, rng)


def frame(figures: Sequence[Figure], scene: Scene, height: int, width: int) -> View:
    """The view that shows the first person as the scene's camera asks, and everybody side by side."""
    main = figures[0]
    joints = main.skeleton.joints
    crown = max(float(figure.skeleton.joints["crown"][1]) for figure in figures) + 0.06
    highest = max(crown, *(float(joints[f"{side}_hand"][1]) + 0.02 for side in ("left", "right")))
    knee = min(float(joints["left_knee"][1]), float(joints["right_knee"][1]))
    size = main.skeleton.size
    hips = float(joints["pelvis"][1])
    neck = float(joints["neck"][1])
    bottom, top = {
        "full": (-0.12, max(highest, 1.80 if scene.pose != "sitting" else 1.4) + 0.07),
        "knee": (min(knee - 0.14 * size.shin, hips - 0.6 * size.thigh), highest + 0.07),
        "half": (hips - 0.06 * size.torso, max(crown, min(highest, crown + 0.25)) + 0.09),
        "portrait": (neck - 0.42 * size.torso, crown + 0.09),
    }[scene.camera]
    tall = (top - bottom) * scene.zoom
    xs = [float(joint[0]) for figure in figures for joint in figure.skeleton.joints.values()]
    if scene.camera == "portrait":
        xs = [float(f.skeleton.joints[f"{s}_shoulder"][0]) for f in figures for s in ("left", "right")]
    centre = (
        0.5 * (min(xs) + max(xs))
        if len(figures) > 1
        else 0.5 * float(joints["pelvis"][0] + joints["neck"][0])
    )
    if scene.camera in ("half", "portrait") and len(figures) == 1:
        centre = float(joints["neck"][0])
    wide = 2.0 * max(max(xs) - centre, centre - min(xs)) + 0.20
    if scene.camera != "full" and len(figures) == 1:
        wide = min(wide, 0.70 * tall)  # a raised hand may leave the picture, a knee shot stays one
    scale = min(height / tall, width / max(wide, 0.3))
    shift_x = scene.shift_x * max(1.0 - wide * scale / width, 0.15)
    middle_y = 0.5 * (top + bottom)
    return View(
        scale=scale,
        centre_x_px=width * (0.5 + shift_x) - scale * centre,
        centre_y_px=height * (0.5 + scene.shift_y) + scale * middle_y,
    )


def scene_light(scene: Scene) -> Light:
    """The light of a scene: nights are dark and coloured, warmth tints the key light."""
    warmth = min(max(scene.warmth, -1.0), 1.0)
    key = np.array([1.0 + 0.10 * warmth, 1.0, 1.0 - 0.14 * warmth], np.float32) * scene.brightness
    if scene.background == "night":
        return Light(
            direction=(scene.light_x, scene.light_y, scene.light_z),
            ambient=0.45,
            colour=key * 0.85,
            ambient_colour=np.array([0.80, 0.74, 0.98], np.float32) * scene.brightness,
        )
    outdoors = scene.background in ("beach", "snow", "city", "forest")
    sky = np.array([0.95, 0.99, 1.07] if outdoors else [1.0, 0.99, 0.97], np.float32)
    return Light(
        direction=(scene.light_x, scene.light_y, scene.light_z),
        ambient=0.62,
        colour=key,
        ambient_colour=sky * scene.brightness,
    )


def develop(picture: Floats, scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 from float32 in [0, 1]: vignette, white balance and grain of a camera."""
    height, width = picture.shape[:2]
    warmth = min(max(scene.warmth, -1.0), 1.0) * 0.04
    tint = 255.0 * np.array((1.0 + warmth, 1.0, 1.0 - warmth), np.float32)
    columns = 1.0 - 0.10 * np.square(np.linspace(-1.0, 1.0, width, dtype=np.float32))
    rows = 0.10 * np.square(np.linspace(-1.0, 1.0, height, dtype=np.float32))
    cv2.setRNGSeed(int(rng.integers(2**31 - 1)))
    result = np.empty(picture.shape, np.uint8)
    grain = np.empty((_BAND_ROWS, width), np.float32)
    for top in range(0, height, _BAND_ROWS):
        band = np.s_[top : min(top + _BAND_ROWS, height)]
        cv2.randn(grain, 0.0, 255.0 * scene.grain)
        vignette = columns[None] - rows[band, None]
        layer = picture[band] * (vignette[..., None] * tint) + grain[: vignette.shape[0], :, None]
        result[band] = clamp(layer, 0.0, 255.0)
    return result


def _mean_depth(part: Lathe) -> float:
    return float(part.start[2] + part.end[2]) * 0.5 + float(part.depth_m.max()) + part.z_bias_m


def _floor_y(view: View) -> float:
    """Row where the floor meets the background, px: some metres behind the feet."""
    return float(view.to_px(np.array([0.0, 0.22, 0.0], np.float32))[1])


def _ground_shadow(picture: Floats, figure: Figure, view: View, scene: Scene) -> None:
    """Darken the floor under the feet and away from the light."""
    height, width = picture.shape[:2]
    joints = figure.skeleton.joints
    feet = [view.to_px(0.5 * (joints[f"{s}_heel"] + joints[f"{s}_toe"])) for s in ("left", "right")]
    if min(f[1] for f in feet) > height + 0.1 * view.scale:
        return
    centre = np.mean(feet, 0) + np.array([-scene.light_x * 0.10, 0.03]) * view.scale
    spread = 0.5 * abs(feet[0][0] - feet[1][0]) + 0.26 * view.scale
    low = 0.10 * view.scale
    y0, y1 = int(np.clip(centre[1] - 3 * low, 0, height)), int(np.clip(centre[1] + 3 * low, 0, height))
    if y0 >= y1:
        return
    x = (np.arange(width, dtype=np.float32) - centre[0]) / spread
    y = (np.arange(y0, y1, dtype=np.float32) - centre[1]) / low
    shade = 0.50 * np.exp(-0.5 * (np.square(x)[None] * 2.2 + np.square(y)[:, None] * 1.3))
    for foot in feet:
        fx = (np.arange(width, dtype=np.float32) - foot[0]) / (0.10 * view.scale)
        fy = (np.arange(y0, y1, dtype=np.float32) - foot[1] - 0.035 * view.scale) / (0.04 * view.scale)
        shade = np.maximum(shade, 0.62 * np.exp(-0.5 * (np.square(fx)[None] + np.square(fy)[:, None])))
    picture[y0:y1] *= 1.0 - shade[..., None]
