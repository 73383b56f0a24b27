"""From identity and scene to a posed skeleton: joint positions in camera space.

Person space: x to the person's left, y up, z forward. Camera space: x right of the picture, y up, z to the camera; a
person at yaw 0 has the same axes in both. Metres throughout.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bodyworld.render.arrays import Floats
from bodyworld.render.identity import BodyIdentity
from bodyworld.render.proportions import Proportions, measure
from bodyworld.render.scene import Scene

SIDES = ("left", "right")


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """A posed body."""

    joints: dict[str, Floats]
    """Camera-space points by name, (3,) each."""
    turn: Floats
    """(3, 3) rotation from person space to camera space."""
    head_turn: Floats
    """(3, 3) rotation of the head, which may look elsewhere."""
    yaw: float
    """Yaw of the trunk, radians; 0 looks at the camera, positive turns towards the right of the picture."""
    head_yaw: float
    """Yaw of the head, radians."""
    ground_y: float
    """Height of the floor under the person in person space, before the camera looks down."""
    size: Proportions

    def place(self, point: Floats | tuple[float, float, float]) -> Floats:
        """Person space -> camera space."""
        return (self.turn @ np.asarray(point, np.float32)).astype(np.float32)


_Vector = tuple[float, float, float]


class _Limbs(NamedTuple):
    """Directions of the four bones of one side, in the person space of a left limb (x outward)."""

    upper_arm: _Vector
    forearm: _Vector
    thigh: _Vector
    shin: _Vector


_DOWN = _Limbs((0.16, -1.0, 0.0), (0.08, -1.0, 0.22), (0.06, -1.0, 0.02), (0.02, -1.0, -0.03))
_RAISED = _DOWN._replace(upper_arm=(0.62, 0.85, 0.05), forearm=(0.15, 1.0, 0.1))
_WAVING = _DOWN._replace(upper_arm=(0.95, 0.15, 0.15), forearm=(0.18, 1.0, 0.22))
_SITTING = _Limbs((0.16, -1.0, 0.12), (-0.05, -0.55, 0.9), (0.2, -0.12, 1.0), (0.04, -1.0, 0.05))
_LIMBS: dict[str, tuple[_Limbs, _Limbs]] = {
    "standing": (_DOWN, _DOWN),
    "arms raised": (_RAISED, _RAISED),
    "hands on hips": (_DOWN, _DOWN),
    "walking": (
        _Limbs((0.12, -1.0, -0.38), (0.08, -1.0, 0.0), (0.02, -0.92, 0.44), (0.0, -1.0, -0.02)),
        _Limbs((0.12, -1.0, 0.38), (0.05, -0.8, 0.62), (0.02, -1.0, -0.2), (0.0, -0.85, -0.55)),
    ),
    "waving": (_WAVING, _DOWN),
    "arms crossed": (_DOWN, _DOWN),
    "sitting": (_SITTING, _SITTING),
    "lunging": (
        _Limbs((0.2, -1.0, -0.25), (0.1, -0.7, 0.7), (0.08, -0.62, 0.85), (0.02, -1.0, 0.0)),
        _Limbs((0.2, -1.0, 0.3), (0.0, -0.6, 0.8), (0.08, -0.85, -0.5), (0.02, -0.62, -0.8)),
    ),
    "side lunge": (
        _Limbs((0.3, -1.0, 0.1), (-0.2, -0.8, 0.5), (0.75, -0.72, 0.25), (-0.04, -1.0, -0.1)),
        _Limbs((0.5, -0.8, 0.0), (0.3, -0.9, 0.3), (0.62, -0.85, 0.0), (0.5, -0.95, 0.0)),
    ),
}
"""Left and right limbs of every pose. Hands on hips and crossed arms start from `_DOWN`: `add_arm` moves the wrists."""
_TORSO_LEAN = {"lunging": 0.2, "walking": 0.07, "side lunge": 0.06}


def pose_skeleton(identity: BodyIdentity, scene: Scene) -> Skeleton:
    """Pose the bones in person space, put the lower sole on the floor, then turn towards the camera.

    Raises:
        KeyError: the scene's pose has no entry among the limbs.
    """
    pose = scene.pose
    if pose == "lunging" and abs(np.sin(np.radians(scene.yaw_deg))) < 0.5:
        pose = "side lunge"  # seen from the front, a lunge forward hardly shows
    body = _PosedBody(identity, scene, pose)
    limbs = _LIMBS[pose][:: -1 if scene.mirror_pose else 1]
    for side, directions in zip(SIDES, limbs, strict=True):
        body.add_arm(side, directions)
        body.add_leg(side, directions)
    ground = min(body.joints[f"{side}_ankle"][1] for side in SIDES) - body.size.ankle
    body.add_feet(ground)
    turn = _camera_turn(scene.yaw_deg, scene.camera_pitch_deg)
    head_yaw = float(np.clip(scene.head_yaw_deg, -30.0, 30.0))
    return Skeleton(
        joints={name: (turn @ point).astype(np.float32) for name, point in body.joints.items()},
        turn=turn,
        head_turn=_camera_turn(scene.yaw_deg + head_yaw, scene.camera_pitch_deg),
        yaw=float(np.radians(scene.yaw_deg)),
        head_yaw=float(np.radians(scene.yaw_deg + head_yaw)),
        ground_y=float(ground),
        size=body.size,
    )


class _PosedBody:
    """The joints of a person in person space, added from the pelvis outward; the pose's jitter is drawn on the way."""

    def __init__(self, identity: BodyIdentity, scene: Scene, pose: str) -> None:
        self.size = measure(identity)
        self._pose = pose
        self._jitter = scene.pose_jitter
        self._rng = np.random.default_rng(scene.pose_seed)
        self.joints = self._torso_joints(_TORSO_LEAN.get(pose, 0.0))

    def _torso_joints(self, lean: float) -> dict[str, Floats]:
        """Pelvis at the origin, base of the neck, ends of the head, shoulders and hips, leaning a little."""
        size = self.size
        chances = self._rng.normal(0.0, 1.0, 6) * self._jitter * 0.04
        side_lean, forward_lean, shoulder_roll, hip_roll, nod, tilt = chances
        up = _unit((side_lean, 1.0, lean + 0.5 * forward_lean))
        neck = up * size.torso
        head_up = _unit((side_lean * 0.5 + tilt * 1.3, 1.0, 0.5 * lean + 0.5 * nod))
        chin = neck + head_up * size.neck * 0.85 + np.array([0.0, 0.0, 0.012])
        joints = {"pelvis": np.zeros(3), "neck": neck, "chin": chin, "crown": chin + head_up * size.head}
        for side in SIDES:
            sign = _sign(side)
            across = np.array([1.0, shoulder_roll * sign, 0.0]) * sign
            out = size.shoulder_half - 0.037 * size.height / 1.7
            joints[f"{side}_shoulder"] = neck - up * size.torso * 0.158 + across * out
            hip_y = hip_roll * 0.5 * sign * size.hip_half * 4
            joints[f"{side}_hip"] = np.array([sign * size.hip_half, hip_y, 0.0])
        return joints

    def add_arm(self, side: str, directions: _Limbs) -> None:
        """Elbow, wrist and finger tips; raised arms lift the shoulder."""
        size, sign = self.size, _sign(side)
        shoulder = self.joints[f"{side}_shoulder"]
        upper, lower = self._jittered(directions.upper_arm), self._jittered(directions.forearm)
        mirror = np.array([sign, 1.0, 1.0])
        elbow = shoulder + mirror * upper * size.upper_arm
        wrist = elbow + mirror * lower * size.forearm
        hand_direction = mirror * lower
        wobble = self._rng.normal(0.0, 0.012, 3) * self._jitter
        if self._pose == "hands on hips":
            target = np.array([sign * (size.pelvis_half + 0.02), size.torso * 0.24, 0.05]) + wobble
            pole = np.array([sign, 0.1, -0.55])
            elbow, wrist = reach(shoulder, target, pole, size.upper_arm, size.forearm)
            hand_direction = _unit((-sign * 0.75, -0.65, 0.35))
        elif self._pose == "arms crossed":
            height = size.torso * (0.60 if sign > 0 else 0.54)
            front = size.chest_depth + 0.065 + 0.03 * (sign > 0)
            target = np.array([-sign * size.chest_half * 0.50, height, front]) + wobble
            pole = np.array([sign * 0.7, -1.0, 0.1])
            elbow, wrist = reach(shoulder, target, pole, size.upper_arm, size.forearm)
            hand_direction = _unit((-sign * 0.8, 0.35, -0.55))
        else:
            raised = float(np.clip((elbow[1] - shoulder[1]) / size.upper_arm, 0.0, 1.0))
            shrug = np.array([-sign * 0.016, 0.034, 0.0]) * raised * size.height / 1.7
            self.joints[f"{side}_shoulder"], elbow, wrist = shoulder + shrug, elbow + shrug, wrist + shrug
        fingers = _unit(hand_direction + 0.15 * _unit(self._rng.normal(size=3)))
        self.joints[f"{side}_elbow"], self.joints[f"{side}_wrist"] = elbow, wrist
        self.joints[f"{side}_hand"] = wrist + fingers * size.hand

    def add_leg(self, side: str, directions: _Limbs) -> None:
        """Knee, ankle, and the direction of the toes, which `add_feet` turns into joints."""
        sign = _sign(side)
        thigh, shin = self._jittered(directions.thigh, 0.7), self._jittered(directions.shin, 0.7)
        mirror = np.array([sign, 1.0, 1.0])
        self.joints[f"{side}_knee"] = self.joints[f"{side}_hip"] + mirror * thigh * self.size.thigh
        self.joints[f"{side}_ankle"] = self.joints[f"{side}_knee"] + mirror * shin * self.size.shin
        self.joints[f"{side}_toe_out"] = np.array([sign * float(self._rng.uniform(0.15, 0.4)), 0.0, 1.0])

    def add_feet(self, ground: float) -> None:
        """Toes point forward and a little outward; the toe of a lifted heel still reaches for the floor."""
        size = self.size
        for side in SIDES:
            ankle = self.joints[f"{side}_ankle"]
            forward = self.joints.pop(f"{side}_toe_out")
            lift = float(np.clip((ankle[1] - size.ankle - ground) / size.foot, 0.0, 1.1))
            along = _unit((forward[0], -lift, forward[2]))
            down = _unit((0.0, -1.0, -lift))
            self.joints[f"{side}_heel"] = ankle + down * size.ankle * 0.5 - along * size.foot * 0.16
            self.joints[f"{side}_toe"] = ankle + down * size.ankle * 0.68 + along * size.foot * 0.68

    def _jittered(self, direction: _Vector, strength: float = 1.0) -> Floats:
        return _unit(np.asarray(direction) + self._rng.normal(0.0, 0.07, 3) * (self._jitter * strength))


def _sign(side: str) -> float:
    """1 for the left, -1 for the right: the sign of x in person space."""
    return 1.0 if side == "left" else -1.0


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


def _unit(vector: Floats | tuple[float, ...]) -> Floats:
    array = np.asarray(vector, np.float64)
    return array / max(float(np.linalg.norm(array)), 1e-9)
