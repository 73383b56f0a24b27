import pyarrow as pa
import pytest

from bolid_pipeline.pose.checks import every_kept_photo_has_a_pose

KEPT = pa.table({"photo_id": ["a", "b"]})


def poses(**boxes):
    columns = {
        "photo_id": pa.array(boxes, pa.string()),
        "person_box": pa.array(boxes.values(), pa.list_(pa.float32())),
    }
    return pa.table(columns)


@pytest.mark.parametrize("found", [{"a": [0, 0, 1, 1]}, {"a": [0, 0, 1, 1], "b": None}])
def test_a_kept_photo_without_a_pose_is_found(found):
    outcome = every_kept_photo_has_a_pose(KEPT, poses(**found))
    assert str(outcome.problem).startswith("1 kept photos have no pose: materialise `poses`")
    assert outcome.examples == ["b"]
    assert outcome.numbers == {"num_poses": 1, "num_without_pose": 1}


def test_photos_with_poses_pass():
    assert every_kept_photo_has_a_pose(KEPT, poses(a=[0, 0, 1, 1], b=[0, 0, 1, 1])).passed
