"""All shapes above the shoulders."""

import numpy as np

from bodyworld.render.arrays import Floats, clamp
from bodyworld.render.face import face_paint
from bodyworld.render.hair import hair_parts
from bodyworld.render.identity import BodyIdentity
from bodyworld.render.limbs import limb, skin_paint
from bodyworld.render.proportions import neck_half_m
from bodyworld.render.scene import Scene
from bodyworld.render.shapes import Coat, Lathe, Paint, Patch, plain_paint, profile
from bodyworld.render.skeleton import Skeleton
from bodyworld.render.skull import EYE_T, NOSE_T, head_point, head_shape


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
    """The neck, from inside the trunk to inside the skull."""
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
    """Two small shells; none where hair falls over them."""
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
    """Centre of the tip of the nose, (3,) in camera space."""
    return head_point(identity, skeleton, 0.0, NOSE_T, 0.003 + 0.016 * identity.nose_length)


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
