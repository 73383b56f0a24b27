"""The 17 keypoints of COCO: names, bones, mirror images and groups. Left is the person's left."""

KEYPOINT_NAMES = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
NUM_KEYPOINTS = len(KEYPOINT_NAMES)
MIN_VISIBLE_CONF = 0.5
"""A keypoint found with less confidence than this counts as invisible."""

EDGES = (
    (0, 1),
    (0, 2),
    (1, 3),
    (2, 4),
    (3, 5),
    (4, 6),
    (5, 6),
    (5, 7),
    (7, 9),
    (6, 8),
    (8, 10),
    (5, 11),
    (6, 12),
    (11, 12),
    (11, 13),
    (13, 15),
    (12, 14),
    (14, 16),
)
"""Bones, as pairs of keypoint indices."""

FLIP_INDEX = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
"""Keypoint k of a mirrored photo is keypoint FLIP_INDEX[k] of the photo."""

GROUPS: dict[str, tuple[int, ...]] = {
    "head": (0, 1, 2, 3, 4),
    "torso": (5, 6, 11, 12),
    "arms": (7, 8, 9, 10),
    "legs": (13, 14, 15, 16),
}
"""Keypoint indices by part of the body; every keypoint belongs to exactly one group."""
