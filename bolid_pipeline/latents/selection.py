"""Selection of the photos that can have latents: those with a pose that shows at least one keypoint."""

import logging

import numpy as np
import pyarrow as pa

from bolid_pipeline.pose.skeleton import NUM_KEYPOINTS

_logger = logging.getLogger(__name__)


def photos_with_pose(photos: pa.Table, poses: pa.Table, min_keypoint_conf: float) -> pa.Table:
    """The photos whose pose has a visible keypoint, with its `keypoints` and `person_box` added.

    Args:
        photos: rows of `raw_photos`.
        poses: rows of `poses`.
        min_keypoint_conf: least confidence of a visible keypoint.

    Returns:
        Rows in the order of `identity`, so that a person's views lie together, and then of `photo_id`.
    """
    posed = poses.filter(_has_visible(poses, min_keypoint_conf)).select(
        ["photo_id", "keypoints", "person_box"]
    )
    row_of = {photo_id: row for row, photo_id in enumerate(posed["photo_id"].to_pylist())}
    rows = [row_of.get(photo_id) for photo_id in photos["photo_id"].to_pylist()]
    num_left_out = rows.count(None)
    if num_left_out:
        _logger.warning("%d of %d photos have no visible keypoint, so no latents", num_left_out, len(rows))
    taken = posed.take(pa.array([row for row in rows if row is not None], pa.int64()))
    found = photos.filter(pa.array([row is not None for row in rows], pa.bool_()))
    for name in ("keypoints", "person_box"):
        found = found.append_column(name, taken[name])
    return found.sort_by([("identity", "ascending"), ("photo_id", "ascending")])


def _has_visible(poses: pa.Table, min_keypoint_conf: float) -> pa.Array:
    """One bool per pose: True if at least one keypoint is visible."""
    flags = [
        keypoints is not None
        and bool(
            (np.asarray(keypoints, np.float32).reshape(NUM_KEYPOINTS, 3)[:, 2] >= min_keypoint_conf).any()
        )
        for keypoints in poses["keypoints"].to_pylist()
    ]
    return pa.array(flags, pa.bool_())
