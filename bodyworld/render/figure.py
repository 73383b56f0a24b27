"""People as shapes that are ready to be drawn, side by side in camera space."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bodyworld.render.clothes import dress
from bodyworld.render.head import head_parts
from bodyworld.render.identity import BodyIdentity
from bodyworld.render.limbs import arm_parts, leg_parts, limb
from bodyworld.render.scene import Scene
from bodyworld.render.shapes import Lathe, plain_paint, profile
from bodyworld.render.skeleton import Skeleton, pose_skeleton
from bodyworld.render.trunk import skirt_parts, torso_part


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A person in a photo, at their place in camera space (metres)."""

    identity: BodyIdentity
    scene: Scene
    skeleton: Skeleton
    parts: list[Lathe]
    """Everything to draw."""


def build_figure(identity: BodyIdentity, scene: Scene) -> tuple[Skeleton, list[Lathe]]:
    """Skeleton and all shapes of a person in camera space, the feet on y = 0, the body at x = 0."""
    skeleton = pose_skeleton(identity, scene)
    base = skeleton.place((0.0, skeleton.ground_y, 0.0))
    joints = {name: (point - base).astype(np.float32) for name, point in skeleton.joints.items()}
    skeleton = replace(skeleton, joints=joints)
    outfit = dress(scene)
    parts = [
        *leg_parts(skeleton, identity, outfit),
        torso_part(skeleton, identity, outfit),
        *skirt_parts(skeleton, outfit),
        *arm_parts(skeleton, identity, outfit),
        *head_parts(skeleton, identity, scene),
    ]
    if scene.pose == "sitting":
        parts += _stool(skeleton)
    return skeleton, parts


def line_up(people: Sequence[tuple[BodyIdentity, Scene]]) -> list[Figure]:
    """The people side by side; everyone but the first stands a little further back."""
    figures: list[Figure] = []
    for number, (identity, scene) in enumerate(people):
        skeleton, parts = build_figure(
            identity, replace(scene, camera_pitch_deg=people[0][1].camera_pitch_deg)
        )
        side = (0.0, 1.0, -1.0)[number % 3]
        widths = (person.shoulder_fraction * person.height_m for person in (people[0][0], identity))
        gap = 0.9 * sum(widths)
        move = np.array([side * (gap * 0.5 + 0.12), 0.03 * number, -0.30 * number], np.float32)
        figures.append(
            Figure(
                identity=identity,
                scene=scene,
                skeleton=replace(skeleton, joints={k: v + move for k, v in skeleton.joints.items()}),
                parts=[replace(part, start=part.start + move, end=part.end + move) for part in parts],
            )
        )
    return figures


def _stool(skeleton: Skeleton) -> list[Lathe]:
    """A round seat under the pelvis, on one leg with a round foot."""
    pelvis = skeleton.joints["pelvis"]
    seat = skeleton.place((0.0, 0.0, 0.03)) + pelvis
    top = seat - np.array([0.0, 0.07 * skeleton.size.height / 1.7 + 0.03, 0.0])
    wood = plain_paint(np.array([0.46, 0.30, 0.18], np.float32), 0.2)
    steel = plain_paint(np.array([0.35, 0.35, 0.37], np.float32), 0.6)
    disc = profile(((0, 0.20), (1, 0.20)))
    post = profile(((0, 0.025), (1, 0.025)))
    foot = profile(((0, 0.15), (1, 0.17)))
    low = np.array([top[0], 0.0, top[2]])
    flat = {"is_flat_start": True, "is_flat_end": True}
    parts = [
        replace(limb(top, top - np.array([0.0, 0.06, 0.0]), disc, wood), depth_m=disc * 0.6, **flat),
        limb(top - np.array([0.0, 0.05, 0.0]), low, post, steel),
        replace(limb(low + np.array([0.0, 0.03, 0.0]), low, foot, steel), depth_m=foot * 0.5, **flat),
    ]
    return [replace(p, start=p.start.astype(np.float32), end=p.end.astype(np.float32)) for p in parts]
