"""The bare head, and where a point of the face lies on it."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bodyworld.render.arrays import Floats, clamp
from bodyworld.render.identity import BodyIdentity
from bodyworld.render.shapes import TABLE_SIZE, profile, turned_outline
from bodyworld.render.skeleton import Skeleton

EYE_T, BROW_T, NOSE_T, MOUTH_T, EAR_T = 0.50, 0.605, 0.335, 0.20, 0.46
"""Heights on the head: 0 at the chin, 1 at the crown."""
_STEPS = np.linspace(0.0, 1.0, TABLE_SIZE)
_FRONT = profile(
    (
        (0, 0.70),
        (0.05, 0.80),
        (0.12, 0.86),
        (0.2, 0.90),
        (0.33, 0.93),
        (0.46, 0.92),
        (0.58, 0.99),
        (0.75, 0.98),
        (1, 0.92),
    )
)
_BACK = profile(
    ((0, 0.0), (0.12, 0.25), (0.22, 0.52), (0.36, 0.82), (0.5, 1.0), (0.66, 1.06), (0.8, 1.07), (1, 1.05))
)


@dataclass(frozen=True, kw_only=True)
class HeadShape:
    """Half widths of the head along its axis from chin to crown, (TABLE_SIZE,) metres each."""

    skull_width: Floats
    """To the sides, as if the skull stayed open at the top; likewise the next two."""
    skull_front: Floats
    skull_back: Floats
    left: Floats
    """Outline as the camera sees the turned head, closed at the top; likewise the next two."""
    right: Floats
    depth: Floats


def dome(t: Floats, start: float, end: float) -> Floats:
    """1 up to `start`, then falling to 0 at `end` as a skull closes."""
    return np.sqrt(clamp(1.0 - clamp((t - start) / (end - start), 0.0, 1.0) ** 2.3, 0.0, 1.0))


@lru_cache(maxsize=256)
def _shape(jaw: float, half: float, head: float, yaw: float) -> HeadShape:
    depth = head * 0.415
    width = half * profile(
        (
            (0, 0.40 + 0.16 * jaw),
            (0.06, 0.48 + 0.16 * jaw),
            (0.14, 0.60 + 0.18 * jaw),
            (0.25, 0.78 + 0.12 * jaw),
            (0.4, 0.93),
            (0.55, 1.0),
            (0.7, 1.0),
            (1, 0.94),
        )
    )
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
    )


def head_shape(identity: BodyIdentity, skeleton: Skeleton) -> HeadShape:
    """The shape of a person's head at the yaw it has in the photo."""
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
