"""From identity and scene to a posed skeleton: bone lengths, joint positions in camera space, body thickness.

Person space: x to the person's left, y up, z forward. Camera space: x right of the picture, y up, z to the camera; a
person at yaw 0 has the same axes in both. Metres throughout.
"""

from dataclasses import dataclass

import numpy as np

from bodyworld.render.identity import BodyIdentity
from bodyworld.render.scene import Scene
from bodyworld.render.shading import Floats

SIDES = ("left", "right")


@dataclass(frozen=True, kw_only=True)
class Proportions:
    """Bone lengths and thickness of one person, in metres; `girth` multiplies the thickness of flesh (1 = average)."""

    height: float
    head: float
    neck: float
    torso: float
    shoulder_half: float
    hip_half: float
    upper_arm: float
    forearm: float
    hand: float
    thigh: float
    shin: float
    ankle: float
    foot: float
    girth: float
    face_half: float
    waist_half: float
    chest_half: float
    pelvis_half: float
    chest_depth: float
    belly_depth: float
    seat_depth: float


def measure(identity: BodyIdentity) -> Proportions:
    """Turn parameters into metres."""
    h = identity.height_m
    head, neck, leg = identity.head_fraction * h, identity.neck_fraction * h, identity.leg_fraction * h
    head = 0.5 * head + 0.5 * identity.head_fraction * 1.70
    ankle = 0.042 * h
    arm = identity.arm_fraction * h
    girth = 0.74 + 0.72 * identity.build**1.2
    is_man = identity.sex == "man"
    shoulder_half = identity.shoulder_fraction * h * 0.5 + 0.012 * (girth - 1.0) * 2
    pelvis_half = identity.hip_fraction * h * 0.5 * (0.80 + 0.32 * girth)
    chest_half = shoulder_half * (0.74 if is_man else 0.69) * (0.82 + 0.2 * girth)
    waist_share = 0.70 + 0.2 * identity.waist + (0.08 if is_man else -0.03) + 0.36 * max(girth - 0.92, 0.0)
    return Proportions(
        height=h,
        head=head,
        neck=neck,
        torso=h - leg - head - neck,
        shoulder_half=shoulder_half,
        hip_half=identity.hip_fraction * h * 0.27 * (0.9 + 0.12 * girth),
        upper_arm=arm * identity.upper_arm_fraction,
        forearm=arm * (1.0 - identity.upper_arm_fraction),
        hand=0.103 * h,
        thigh=(leg - ankle) * identity.upper_leg_fraction,
        shin=(leg - ankle) * (1.0 - identity.upper_leg_fraction),
        ankle=ankle,
        foot=0.148 * h,
        girth=girth,
        face_half=head * (0.325 + 0.062 * identity.face_width + 0.012 * (girth - 1.0)),
        waist_half=0.5 * (chest_half + pelvis_half) * waist_share,
        chest_half=chest_half,
        pelvis_half=pelvis_half,
        chest_depth=0.062 * h * (0.85 + 0.25 * girth) + 0.012 * identity.chest,
        belly_depth=0.052 * h * (0.62 + 0.62 * max(girth - 0.35, 0.0)),
        seat_depth=0.062 * h * (0.75 + 0.35 * girth),
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


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Joints in camera space, {name: (3,)}; `turn` (3, 3) takes person space to camera space, `head_turn` the head's.

    `ground_y` is the height of the floor under the person in person space (before the camera looks down).
    """

    joints: dict[str, Floats]
    turn: Floats
    head_turn: Floats
    yaw: float
    head_yaw: float
    ground_y: float
    size: Proportions

    def place(self, point: Floats | tuple[float, float, float]) -> Floats:
        """Person space -> camera space."""
        return (self.turn @ np.asarray(point, np.float32)).astype(np.float32)


# Directions of upper arm, forearm, thigh, shin for the left side and then the right one, in person space of a left
# limb (x outward); a pose that says "reach" puts the wrist on a point instead.
_DOWN = ((0.16, -1.0, 0.0), (0.08, -1.0, 0.22), (0.06, -1.0, 0.02), (0.02, -1.0, -0.03))
_RAISED = ((0.62, 0.85, 0.05), (0.15, 1.0, 0.1), *_DOWN[2:])
_Directions = tuple[tuple[float, float, float], ...]
LIMB_DIRECTIONS: dict[str, tuple[_Directions, _Directions]] = {
    "standing": (_DOWN, _DOWN),
    "arms raised": (_RAISED, _RAISED),
    "hands on hips": (_DOWN, _DOWN),
    "walking": (
        ((0.12, -1.0, -0.38), (0.08, -1.0, 0.0), (0.02, -0.92, 0.44), (0.0, -1.0, -0.02)),
        ((0.12, -1.0, 0.38), (0.05, -0.8, 0.62), (0.02, -1.0, -0.2), (0.0, -0.85, -0.55)),
    ),
    "waving": (((0.95, 0.15, 0.15), (0.18, 1.0, 0.22), *_DOWN[2:]), _DOWN),
    "arms crossed": (_DOWN, _DOWN),
    "sitting": (
        ((0.16, -1.0, 0.12), (-0.05, -0.55, 0.9), (0.2, -0.12, 1.0), (0.04, -1.0, 0.05)),
        ((0.16, -1.0, 0.12), (-0.05, -0.55, 0.9), (0.2, -0.12, 1.0), (0.04, -1.0, 0.05)),
    ),
    "lunging": (
        ((0.2, -1.0, -0.25), (0.1, -0.7, 0.7), (0.08, -0.62, 0.85), (0.02, -1.0, 0.0)),
        ((0.2, -1.0, 0.3), (0.0, -0.6, 0.8), (0.08, -0.85, -0.5), (0.02, -0.62, -0.8)),
    ),
    "side lunge": (
        ((0.3, -1.0, 0.1), (-0.2, -0.8, 0.5), (0.75, -0.72, 0.25), (-0.04, -1.0, -0.1)),
        ((0.5, -0.8, 0.0), (0.3, -0.9, 0.3), (0.62, -0.85, 0.0), (0.5, -0.95, 0.0)),
    ),
}
_TORSO_LEAN = {"lunging": 0.2, "walking": 0.07, "side lunge": 0.06}


def pose_skeleton(identity: BodyIdentity, scene: Scene) -> Skeleton:
    """Pose the bones in person space, put the lower sole on the floor, then turn towards the camera."""
    size = measure(identity)
    rng = np.random.default_rng(scene.pose_seed)
    jitter = scene.pose_jitter
    pose = scene.pose
    if pose == "lunging" and abs(np.sin(np.radians(scene.yaw_deg))) < 0.5:
        pose = "side lunge"
    joints = _torso_joints(size, rng, jitter, _TORSO_LEAN.get(pose, 0.0))
    limbs = LIMB_DIRECTIONS[pose][:: -1 if scene.mirror_pose else 1]
    for side, sign, directions in zip(SIDES, (1.0, -1.0), limbs, strict=True):
        _add_arm(joints, size, side, sign, directions, pose, rng, jitter)
        _add_leg(joints, size, side, sign, directions, rng, jitter)
    ground = min(joints[f"{side}_ankle"][1] for side in SIDES) - size.ankle
    _add_feet(joints, size, ground)
    turn = _camera_turn(scene.yaw_deg, scene.camera_pitch_deg)
    head_yaw = float(np.clip(scene.head_yaw_deg, -30.0, 30.0))
    return Skeleton(
        joints={name: (turn @ point).astype(np.float32) for name, point in joints.items()},
        turn=turn,
        head_turn=_camera_turn(scene.yaw_deg + head_yaw, scene.camera_pitch_deg),
        yaw=float(np.radians(scene.yaw_deg)),
        head_yaw=float(np.radians(scene.yaw_deg + head_yaw)),
        ground_y=float(ground),
        size=size,
    )


def _torso_joints(
    size: Proportions, rng: np.random.Generator, jitter: float, lean: float
) -> dict[str, Floats]:
    """Pelvis at the origin, neck base, head ends, shoulders and hips, leaning a little."""
    side_lean, forward_lean, shoulder_roll, hip_roll, nod, tilt = rng.normal(0.0, 1.0, 6) * jitter * 0.04
    up = _unit((side_lean, 1.0, lean + 0.5 * forward_lean))
    neck = up * size.torso
    head_up = _unit((side_lean * 0.5 + tilt * 1.3, 1.0, 0.5 * lean + 0.5 * nod))
    chin = neck + head_up * size.neck * 0.85 + np.array([0.0, 0.0, 0.012])
    joints = {"pelvis": np.zeros(3), "neck": neck, "chin": chin, "crown": chin + head_up * size.head}
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        across = np.array([1.0, shoulder_roll * sign, 0.0]) * sign
        out = size.shoulder_half - 0.037 * size.height / 1.7
        joints[f"{side}_shoulder"] = neck - up * size.torso * 0.158 + across * out
        joints[f"{side}_hip"] = np.array(
            [sign * size.hip_half, hip_roll * 0.5 * sign * size.hip_half * 4, 0.0]
        )
    return joints


def _add_arm(
    joints: dict[str, Floats],
    size: Proportions,
    side: str,
    sign: float,
    directions: _Directions,
    pose: str,
    rng: np.random.Generator,
    jitter: float,
) -> None:
    shoulder = joints[f"{side}_shoulder"]
    upper, lower = (_jittered(direction, rng, jitter) for direction in directions[:2])
    mirror = np.array([sign, 1.0, 1.0])
    elbow = shoulder + mirror * upper * size.upper_arm
    wrist = elbow + mirror * lower * size.forearm
    hand_direction = mirror * lower
    wobble = rng.normal(0.0, 0.012, 3) * jitter
    if pose == "hands on hips":
        target = np.array([sign * (size.pelvis_half + 0.02), size.torso * 0.24, 0.05]) + wobble
        elbow, wrist = reach(shoulder, target, np.array([sign, 0.1, -0.55]), size.upper_arm, size.forearm)
        hand_direction = _unit((-sign * 0.75, -0.65, 0.35))
    elif pose == "arms crossed":
        height = size.torso * (0.60 if sign > 0 else 0.54)
        front = size.chest_depth + 0.065 + 0.03 * (sign > 0)
        target = np.array([-sign * size.chest_half * 0.50, height, front]) + wobble
        elbow, wrist = reach(
            shoulder, target, np.array([sign * 0.7, -1.0, 0.1]), size.upper_arm, size.forearm
        )
        hand_direction = _unit((-sign * 0.8, 0.35, -0.55))
    else:
        raised = float(np.clip((elbow[1] - shoulder[1]) / size.upper_arm, 0.0, 1.0))
        shrug = np.array([-sign * 0.016, 0.034, 0.0]) * raised * size.height / 1.7
        joints[f"{side}_shoulder"], elbow, wrist = shoulder + shrug, elbow + shrug, wrist + shrug
    joints[f"{side}_elbow"], joints[f"{side}_wrist"] = elbow, wrist
    joints[f"{side}_hand"] = wrist + _unit(hand_direction + 0.15 * _unit(rng.normal(size=3))) * size.hand


def _add_leg(
    joints: dict[str, Floats],
    size: Proportions,
    side: str,
    sign: float,
    directions: _Directions,
    rng: np.random.Generator,
    jitter: float,
) -> None:
    upper, lower = (_jittered(direction, rng, jitter * 0.7) for direction in directions[2:])
    mirror = np.array([sign, 1.0, 1.0])
    joints[f"{side}_knee"] = joints[f"{side}_hip"] + mirror * upper * size.thigh
    joints[f"{side}_ankle"] = joints[f"{side}_knee"] + mirror * lower * size.shin
    joints[f"{side}_toe_out"] = np.array([sign * float(rng.uniform(0.15, 0.4)), 0.0, 1.0])


def _add_feet(joints: dict[str, Floats], size: Proportions, ground: float) -> None:
    """Toes point forward and a little outward; the toe of a lifted heel still reaches for the floor."""
    for side in SIDES:
        ankle = joints[f"{side}_ankle"]
        forward = joints.pop(f"{side}_toe_out")
        lift = float(np.clip((ankle[1] - size.ankle - ground) / size.foot, 0.0, 1.1))
        along = _unit((forward[0], -lift, forward[2]))
        down = _unit((0.0, -1.0, -lift))
        joints[f"{side}_heel"] = ankle + down * size.ankle * 0.5 - along * size.foot * 0.16
        joints[f"{side}_toe"] = ankle + down * size.ankle * 0.68 + along * size.foot * 0.68


def reach(
    shoulder: Floats, target: Floats, pole: Floats, upper: float, lower: float
) -> tuple[Floats, Floats]:
    """Two-bone inverse kinematics: (elbow, wrist) with the wrist at `target` and the elbow bent towards `pole`."""
    gap = target - shoulder
    distance = float(np.clip(np.linalg.norm(gap), abs(upper - lower) + 1e-3, upper + lower - 1e-3))
    along = _unit(gap)
    bend = _unit(pole - along * float(pole @ along))
    share = (upper**2 - lower**2 + distance**2) / (2.0 * distance)
    elbow = shoulder + along * share + bend * np.sqrt(max(upper**2 - share**2, 0.0))
    return elbow, shoulder + along * distance


def _camera_turn(yaw_deg: float, pitch_deg: float) -> Floats:
    """(3, 3) rotation: yaw about the vertical, then the camera looks down by the pitch."""
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    turn_yaw = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    turn_pitch = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    return (turn_pitch @ turn_yaw).astype(np.float32)


def _jittered(direction: tuple[float, float, float], rng: np.random.Generator, jitter: float) -> Floats:
    return _unit(np.asarray(direction) + rng.normal(0.0, 0.07, 3) * jitter)


def _unit(vector: Floats | tuple[float, ...]) -> Floats:
    array = np.asarray(vector, np.float64)
    return array / max(float(np.linalg.norm(array)), 1e-9)
