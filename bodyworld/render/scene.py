"""A scene, which changes from photo to photo: pose, facing, clothes, background, light, camera."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

POSES = (
    "standing",
    "arms raised",
    "hands on hips",
    "walking",
    "waving",
    "arms crossed",
    "sitting",
    "lunging",
)
FACINGS = ("front", "left", "right", "away")
CAMERAS = ("full", "knee", "half", "portrait")
TOPS = ("t-shirt", "shirt", "tank top", "jacket", "dress")
BOTTOMS = ("trousers", "shorts", "skirt")
PATTERNS = ("plain", "striped", "dotted", "checked")
BACKGROUNDS = ("studio", "beach", "forest", "city", "brick wall", "living room", "night", "snow")
FACE_COVERS = ("none", "hat", "board")
COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.80, 0.12, 0.12),
    "orange": (0.93, 0.48, 0.10),
    "yellow": (0.93, 0.80, 0.20),
    "green": (0.15, 0.52, 0.24),
    "blue": (0.14, 0.30, 0.72),
    "purple": (0.45, 0.20, 0.58),
    "pink": (0.93, 0.52, 0.67),
    "brown": (0.42, 0.27, 0.17),
    "black": (0.09, 0.09, 0.10),
    "white": (0.92, 0.91, 0.89),
    "grey": (0.50, 0.51, 0.53),
}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One photo of one person; the same scene always gives the same photo, but for its grain."""

    pose: str = "standing"
    facing: str = "front"
    yaw_deg: float = 0.0
    """0 looks at the camera, positive turns towards the right of the picture."""
    head_yaw_deg: float = 0.0
    """Turn of the head against the body."""
    mirror_pose: bool = False
    """Exchange the poses of the left and the right limbs."""
    pose_seed: int = 0
    pose_jitter: float = 1.0
    """Strength of the small random changes of the pose."""
    camera: str = "full"
    camera_pitch_deg: float = 5.0
    zoom: float = 1.0
    """Size of the frame around the figure: 1.1 shows it 10 % smaller."""
    shift_x: float = 0.0
    """Distance of the figure from the middle, as a fraction of the picture; likewise `shift_y`."""
    shift_y: float = 0.0
    top: str = "t-shirt"
    top_colour: str = "red"
    top_pattern: str = "plain"
    inner_colour: str = "white"
    """Colour of the shirt under a jacket."""
    bottom: str = "trousers"
    bottom_colour: str = "blue"
    shoe_colour: str = "black"
    garment_fit: float = 0.4
    """0 short and tight, 1 long and wide."""
    background: str = "studio"
    background_seed: int = 0
    light_x: float = -0.5
    """Direction the light comes from: x to the right, y up, z to the camera."""
    light_y: float = 0.6
    light_z: float = 0.7
    warmth: float = 0.0
    """-1 bluish, 1 reddish."""
    brightness: float = 1.0
    grain: float = 0.012
    """Deviation of the film grain, of a full range of 1."""
    smile: float = 0.5
    """0 serious, 1 laughing with teeth."""
    face_cover: str = "none"


def sample_scene(rng: np.random.Generator, *, sex: str = "woman", **forced: Any) -> Scene:
    """Draw a scene. `sex` decides about skirts and dresses; any field of `Scene` may be forced by its name."""
    facing = str(forced.get("facing", rng.choice(("front", "left", "right"), p=(0.5, 0.25, 0.25))))
    top = str(
        rng.choice(TOPS, p=(0.32, 0.26, 0.12, 0.18, 0.12) if sex == "woman" else (0.4, 0.3, 0.1, 0.2, 0.0))
    )
    bottom = str(rng.choice(BOTTOMS, p=(0.5, 0.2, 0.3) if sex == "woman" else (0.68, 0.32, 0.0)))
    top_colour, bottom_colour, inner_colour = (str(c) for c in rng.choice(tuple(COLOURS), 3, replace=False))
    scene = Scene(
        pose=str(rng.choice(POSES, p=(0.22, 0.11, 0.13, 0.14, 0.1, 0.1, 0.11, 0.09))),
        facing=facing,
        yaw_deg=sample_yaw_deg(rng, facing),
        head_yaw_deg=float(rng.normal(0.0, 9.0)),
        mirror_pose=bool(rng.random() < 0.5),
        pose_seed=int(rng.integers(2**31)),
        camera=str(rng.choice(CAMERAS, p=(0.52, 0.2, 0.17, 0.11))),
        camera_pitch_deg=float(rng.uniform(2.0, 9.0)),
        zoom=float(rng.uniform(0.98, 1.14)),
        shift_x=float(rng.uniform(-0.07, 0.07)),
        shift_y=float(rng.uniform(-0.02, 0.02)),
        top=top,
        top_colour=top_colour,
        top_pattern=str(rng.choice(PATTERNS, p=(0.5, 0.2, 0.14, 0.16))),
        inner_colour=inner_colour,
        bottom=bottom,
        bottom_colour=bottom_colour,
        shoe_colour=str(rng.choice(("black", "white", "brown", "red", "grey", "blue"))),
        garment_fit=float(rng.uniform(0.0, 1.0)),
        background=str(rng.choice(BACKGROUNDS)),
        background_seed=int(rng.integers(2**31)),
        light_x=float(rng.uniform(-0.9, 0.9)),
        light_y=float(rng.uniform(0.25, 0.9)),
        light_z=float(rng.uniform(0.5, 0.9)),
        warmth=float(rng.normal(0.0, 0.4)),
        brightness=float(rng.uniform(0.85, 1.12)),
        grain=float(rng.uniform(0.004, 0.022)),
        smile=float(rng.random()),
    )
    return replace(scene, **forced)


def sample_yaw_deg(rng: np.random.Generator, facing: str) -> float:
    """Draw the yaw of a facing: nearly frontal, three-quarter to profile on either side, or turned away."""
    if facing == "front":
        return float(rng.normal(0.0, 9.0))
    if facing == "away":
        return 180.0 + float(rng.normal(0.0, 10.0))
    side = -1.0 if facing == "left" else 1.0
    return side * float(rng.uniform(36.0, 90.0))
