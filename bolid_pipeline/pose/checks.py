"""Checks of the poses."""

import pyarrow as pa
import pyarrow.compute as pc

from bolid_pipeline.records import CheckOutcome


def every_kept_photo_has_a_pose(kept: pa.Table, poses: pa.Table) -> CheckOutcome:
    """Check that each kept photo has a box and keypoints.

    Args:
        kept: rows of `raw_photos`.
        poses: rows of `poses`; a photo in which nobody was found has no box.
    """
    with_pose = set(poses.filter(pc.field("person_box").is_valid())["photo_id"].to_pylist())
    without = sorted(set(kept["photo_id"].to_pylist()) - with_pose)
    return CheckOutcome(
        problem=f"{len(without)} kept photos have no pose: materialise `poses`; if the network finds nobody in them, "
        "lower the confidence in the deployment's pose settings"
        if without
        else None,
        numbers={"num_poses": len(with_pose), "num_without_pose": len(without)},
        examples=without[:20],
    )
