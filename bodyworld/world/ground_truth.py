"""The ground truth of a photo, as plain numbers: a line of `ground_truth.jsonl`, for tests and evaluation only."""

from dataclasses import asdict
from typing import Any

import numpy as np

from bodyworld.render.identity import BodyIdentity
from bodyworld.render.renderer import Rendering
from bodyworld.render.scene import Scene
from bodyworld.world.captions import caption
from bolid_pipeline.pose.skeleton import FLIP_INDEX

_NO_DEFECT: dict[str, Any] = {
    "has_watermark": False,
    "watermark_kind": None,
    "watermark_opacity": None,
    "defect": None,
    "duplicate_of": None,
    "duplicate_kind": None,
}


def describe(rendering: Rendering, identity: BodyIdentity, scene: Scene) -> dict[str, Any]:
    """The ground truth of a rendering before any defect."""
    return {
        "keypoints": rendering.keypoints.round(2).tolist(),
        "all_keypoints": rendering.all_keypoints.round(2).tolist(),
        "person_boxes": rendering.person_boxes.round(1).tolist(),
        "face_boxes": rendering.face_boxes.round(1).tolist(),
        "num_people": len(rendering.person_boxes),
        "num_faces": len(rendering.face_boxes),
        "caption": caption(identity, scene),
        "scene": asdict(scene),
        **_NO_DEFECT,
    }


def describe_place(kind: str) -> dict[str, Any]:
    """The ground truth of a photo without people, with the same names."""
    return {
        "keypoints": [],
        "all_keypoints": [],
        "person_boxes": [],
        "face_boxes": [],
        "num_people": 0,
        "num_faces": 0,
        "caption": f"a photo of a {kind}",
        "scene": None,
        **_NO_DEFECT,
        "has_hidden_face": False,
        "identity": None,
    }


def move(truth: dict[str, Any], scale: tuple[float, ...], offset: tuple[float, float]) -> dict[str, Any]:
    """The keypoints and boxes of a photo whose coordinates became scale * old + offset.

    Args:
        truth: ground truth of the photo before the change.
        scale: (x, y); a negative x mirrors the picture, which swaps left and right keypoints.
        offset: (x, y), px.
    """
    moved: dict[str, Any] = {}
    for name in ("keypoints", "all_keypoints"):
        points = np.array(truth[name], np.float64)
        points[..., :2] = points[..., :2] * np.array(scale) + np.array(offset)
        moved[name] = (points[..., list(FLIP_INDEX), :] if scale[0] < 0 else points).round(2).tolist()
    for name in ("person_boxes", "face_boxes"):
        boxes = np.array(truth[name], np.float64).reshape(-1, 4) * np.array([*scale, *scale])
        boxes = boxes + np.array([*offset, *offset])
        if scale[0] < 0:
            boxes = boxes[:, [2, 1, 0, 3]]
        moved[name] = boxes.round(1).tolist()
    return moved


def mirror_caption(text: str) -> str:
    """The caption of the mirrored picture, in which left is right."""
    one, two = "facing left", "facing right"
    return text.replace(one, two) if one in text else text.replace(two, one)
