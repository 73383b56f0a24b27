import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bolid_pipeline.latents.buckets import Bucket, choose_crop, make_buckets
from bolid_pipeline.latents.config import LatentConfig
from bolid_pipeline.latents.preparation import prepare_photo

BUCKETS = make_buckets(64, 16, 2.0)
PHOTO = st.tuples(st.integers(200, 3000), st.integers(200, 3000))


@pytest.mark.parametrize(
    ("resolution", "multiple", "names"),
    [
        (64, 16, "64x64 80x48 48x80"),
        (512, 64, "512x512 576x448 448x576 640x384 384x640"),
        (
            1024,
            64,
            "1024x1024 1088x960 960x1088 1152x896 896x1152 1216x832 832x1216 1344x768 768x1344 1472x704 704x1472",
        ),
    ],
)
def test_buckets_have_about_the_same_area(resolution, multiple, names):
    buckets = make_buckets(resolution, multiple, 2.0 if resolution < 1024 else 2.1)
    assert sorted(map(str, buckets)) == sorted(names.split())
    assert buckets[0] == Bucket(resolution, resolution)
    assert all(bucket.height * bucket.width <= resolution**2 for bucket in buckets)


def test_a_resolution_off_the_grid_is_refused():
    with pytest.raises(ValueError, match="60 px is not a multiple of 16"):
        make_buckets(60, 16, 2.0)


@st.composite
def people(draw):
    """A photo's size, and keypoints in it."""
    width, height = draw(PHOTO)
    points = st.tuples(st.floats(0, width), st.floats(0, height))
    return width, height, np.array(draw(st.lists(points, min_size=1, max_size=17)))


@given(people())
def test_crops_lie_in_the_photo_and_have_the_buckets_aspect(person):
    width, height, keypoints = person
    bucket, (x1, y1, x2, y2) = choose_crop(BUCKETS, width, height, keypoints)
    assert bucket in BUCKETS
    assert x1 >= 0
    assert y1 >= 0
    assert x2 <= width + 1e-6
    assert y2 <= height + 1e-6
    assert (y2 - y1) / (x2 - x1) == pytest.approx(bucket.aspect)
    assert x2 - x1 == pytest.approx(width) or y2 - y1 == pytest.approx(height)


@given(people())
def test_no_keypoint_is_cut_off_where_a_bucket_can_hold_them_all(person):
    width, height, keypoints = person
    extent = keypoints.max(axis=0) - keypoints.min(axis=0)
    holds_all = any(
        (extent <= (min(width, height / bucket.aspect), min(height, width * bucket.aspect))).all()
        for bucket in BUCKETS
    )
    assume(holds_all)
    _, (x1, y1, x2, y2) = choose_crop(BUCKETS, width, height, keypoints)
    assert (keypoints >= (x1 - 0.01, y1 - 0.01)).all()
    assert (keypoints <= (x2 + 0.01, y2 + 0.01)).all()


def test_a_photo_of_a_buckets_aspect_is_not_cut():
    bucket, crop = choose_crop(BUCKETS, 960, 1600, np.array([[480.0, 800.0]]))
    assert bucket == Bucket(80, 48)
    assert crop == pytest.approx((0, 0, 960, 1600))


def test_the_box_keeps_the_hair_in():
    keypoints = np.array([[500.0, 400.0], [500.0, 1500.0]])
    _, without = choose_crop(BUCKETS[:1], 1400, 2000, keypoints)
    _, with_box = choose_crop(BUCKETS[:1], 1400, 2000, keypoints, (300, 200, 700, 1500))
    assert with_box[1] < without[1]
    assert with_box[1] == pytest.approx(150)  # the box has its middle at 850, the crop a height of 1400


def test_preparation_keeps_keypoints_on_their_pixels():
    photo = np.zeros((600, 800, 3), np.uint8)
    spots = {0: (300, 150), 5: (420, 330), 16: (500, 560)}
    keypoints = np.zeros((17, 3), np.float32)
    for number, (x, y) in spots.items():
        photo[y - 8 : y + 8, x - 8 : x + 8] = 255
        keypoints[number] = (x, y, 0.9)
    facts = {
        "width_px": 1600,
        "height_px": 1200,
        "keypoints": keypoints * (2, 2, 1),
        "person_box": [500, 200, 1100, 1180],
    }

    prepared = prepare_photo(photo, facts, BUCKETS, LatentConfig())

    bucket = prepared.bucket
    assert prepared.plain.shape == prepared.weighted.shape == (bucket.height, bucket.width, 3)
    assert prepared.crop_xywh[3] / prepared.crop_xywh[2] == pytest.approx(bucket.aspect, abs=1e-3)
    for number in spots:
        x, y, conf = prepared.keypoints[number]
        assert conf == pytest.approx(0.9)
        row, column = int(y * bucket.height), int(x * bucket.width)
        assert prepared.plain[row, column].min() > 60
        np.testing.assert_allclose(
            prepared.weighted[row, column], prepared.plain[row, column], rtol=0.15, atol=2
        )
    dark = prepared.plain.max(axis=2) > 0
    assert prepared.weighted[~dark].max() == 0


def test_keypoints_outside_of_the_crop_are_told_as_unseen():
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[0], keypoints[1] = (10, 50, 1), (990, 50, 1)
    facts = {"width_px": 1000, "height_px": 100, "keypoints": keypoints, "person_box": None}
    prepared = prepare_photo(np.full((100, 1000, 3), 200, np.uint8), facts, BUCKETS, LatentConfig())
    assert prepared.bucket == Bucket(48, 80)
    assert prepared.keypoints[:2, 2].tolist() == [0, 0]
    assert ((prepared.keypoints[:, :2] >= 0) & (prepared.keypoints[:, :2] <= 1)).all()
