from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bodyworld.__main__ import main as draw_person_command
from bodyworld.render.identity import BodyIdentity, sample_identity
from bodyworld.render.renderer import Rendering, render, render_thumbnail
from bodyworld.render.scene import BACKGROUNDS, POSES, Scene, sample_scene
from bodyworld.world.captions import caption
from bodyworld.world.photographs import add_companions
from bolid_pipeline.pose.skeleton import KEYPOINT_NAMES

LEFT = [i for i, name in enumerate(KEYPOINT_NAMES) if name.startswith("left")]
RIGHT = [i for i, name in enumerate(KEYPOINT_NAMES) if name.startswith("right")]
INDEX = {name: i for i, name in enumerate(KEYPOINT_NAMES)}


def draw_person(seed: int, **forced: object) -> tuple[BodyIdentity, Scene]:
    rng = np.random.default_rng(seed)
    identity = sample_identity(rng)
    return identity, sample_scene(rng, sex=identity.sex, **forced)


def photograph(
    person: tuple[BodyIdentity, Scene], height: int = 240, width: int = 160, seed: int = 0
) -> Rendering:
    return render([person], height, width, np.random.default_rng(seed))


def test_same_seed_gives_the_same_photo():
    one, two = (photograph(draw_person(3), seed=5) for _ in range(2))
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(one.keypoints, two.keypoints)


def test_another_seed_changes_only_the_grain():
    one, two = (photograph(draw_person(3), seed=seed) for seed in (5, 6))
    assert not np.array_equal(one.image, two.image)
    assert np.abs(one.image.astype(int) - two.image.astype(int)).mean() < 12
    assert np.array_equal(one.keypoints, two.keypoints)


def test_shapes_and_dtypes():
    rendering = photograph(draw_person(0))
    assert rendering.image.shape == (240, 160, 3)
    assert rendering.image.dtype == np.uint8
    assert rendering.keypoints.shape == (17, 3)
    assert rendering.all_keypoints.shape == (1, 17, 3)
    for array in (rendering.keypoints, rendering.person_boxes, rendering.face_boxes, rendering.all_keypoints):
        assert array.dtype == np.float32
    assert set(np.unique(rendering.keypoints[:, 2])) <= {0.0, 1.0}


@pytest.mark.parametrize("seed", range(4))
def test_keypoints_scale_with_the_picture(seed: int):
    person = draw_person(seed)
    small, large = photograph(person, 150, 100), photograph(person, 600, 400)
    assert np.allclose(small.keypoints[:, :2] * 4, large.keypoints[:, :2], atol=0.05)
    assert (small.keypoints[:, 2] == large.keypoints[:, 2]).mean() > 0.8
    assert np.allclose(small.person_boxes * 4, large.person_boxes, atol=9)


def test_thumbnail_has_the_ground_truth_of_its_own_size():
    person = draw_person(1)
    thumbnail = render_thumbnail([person], 96, 64, np.random.default_rng(0))
    direct = photograph(person, 192, 128)
    assert thumbnail.image.shape == (96, 64, 3)
    assert np.allclose(thumbnail.keypoints[:, :2] * 2, direct.keypoints[:, :2], atol=1e-3)


@pytest.mark.parametrize("pose", POSES)
def test_visible_keypoints_lie_in_the_person_box(pose: str):
    for seed in range(3):
        rendering = photograph(draw_person(seed, pose=pose))
        seen = rendering.keypoints[rendering.keypoints[:, 2] > 0, :2]
        x0, y0, x1, y1 = rendering.person_boxes[0]
        assert len(seen) >= 5
        assert (seen >= (x0 - 2, y0 - 2)).all()
        assert (seen <= (x1 + 2, y1 + 2)).all()


@pytest.mark.parametrize("facing", ["front", "left", "right"])
def test_face_box_lies_in_the_person_box_and_holds_the_nose(facing: str):
    for seed in range(3):
        rendering = photograph(draw_person(seed, facing=facing, camera="full", pose="standing"))
        (face,) = rendering.face_boxes
        body = rendering.person_boxes[0]
        assert (face[:2] >= body[:2] - 2).all()
        assert (face[2:] <= body[2:] + 2).all()
        nose = rendering.keypoints[0]
        slack = 0.25 * (face[2] - face[0]) + 1  # the tip of a nose stands out of the face
        assert face[0] - slack <= nose[0] <= face[2] + slack
        assert face[1] <= nose[1] <= face[3]


def test_left_is_on_the_right_of_the_picture_when_facing_the_camera():
    for seed in range(4):
        scene = {"facing": "front", "yaw_deg": 0.0, "head_yaw_deg": 0.0, "pose": "standing"}
        points = photograph(draw_person(seed, **scene)).keypoints
        assert (points[LEFT, 0] > points[RIGHT, 0]).all()


def test_left_is_on_the_left_when_seen_from_behind():
    points = photograph(
        draw_person(0, facing="away", yaw_deg=180.0, head_yaw_deg=0.0, pose="standing")
    ).keypoints
    shoulders = points[INDEX["left_shoulder"], 0], points[INDEX["right_shoulder"], 0]
    assert shoulders[0] < shoulders[1]
    assert points[INDEX["nose"], 2] == 0


@pytest.mark.parametrize(("yaw_deg", "near", "far"), [(85.0, "right", "left"), (-85.0, "left", "right")])
def test_profile_hides_the_far_eye(yaw_deg: float, near: str, far: str):
    facing = "right" if yaw_deg > 0 else "left"
    scene = {"facing": facing, "yaw_deg": yaw_deg, "head_yaw_deg": 0.0, "pose": "standing", "camera": "half"}
    points = photograph(draw_person(2, **scene)).keypoints
    assert points[INDEX[f"{near}_eye"], 2] == 1
    assert points[INDEX[f"{far}_eye"], 2] == 0
    assert np.sign(points[0, 0] - points[INDEX[f"{near}_ear"], 0]) == np.sign(yaw_deg)


@pytest.mark.parametrize("cover", ["hat", "board"])
def test_covered_face_is_no_face_but_still_a_person(cover: str):
    rendering = photograph(draw_person(0, camera="full", facing="front", face_cover=cover))
    assert len(rendering.face_boxes) == 0
    assert len(rendering.person_boxes) == 1
    assert (rendering.keypoints[:3, 2] == 0).all()


@pytest.mark.parametrize("num_people", [2, 3])
def test_companions_are_counted(num_people: int):
    for seed in range(3):
        identity, scene = draw_person(seed, camera="full")
        for is_hidden in (False, True):
            cast = add_companions(identity, scene, num_people, is_hidden, np.random.default_rng(seed))
            rendering = render(cast, 240, 320, np.random.default_rng(0))
            assert len(rendering.person_boxes) == len(rendering.all_keypoints) == num_people
            assert len(rendering.face_boxes) == num_people - is_hidden
            assert (rendering.person_boxes[:, 2:] > rendering.person_boxes[:, :2]).all()


def test_backgrounds_can_be_told_apart():
    identity, scene = draw_person(0, camera="full")
    seen = [photograph((identity, replace(scene, background=kind)), 64, 48).image for kind in BACKGROUNDS]
    for i, one in enumerate(seen):
        for two in seen[:i]:
            assert np.abs(one.astype(int) - two.astype(int)).mean() > 8


def test_bodies_differ_in_pixels_and_vectors():
    rng = np.random.default_rng(0)
    scene = Scene(pose_jitter=0.0)
    people = [sample_identity(rng) for _ in range(6)]
    boxes = np.array([photograph((identity, scene)).person_boxes[0] for identity in people])
    assert np.ptp(boxes[:, 3] - boxes[:, 1]) > 15
    assert np.ptp(boxes[:, 2] - boxes[:, 0]) > 8
    for identity in people:
        vector = identity.vector()
        assert vector.dtype == np.float32
        assert vector.min() >= 0
        assert vector.max() <= 1


def test_most_photos_show_the_figure_to_the_knees():
    rng = np.random.default_rng(0)
    cameras = [sample_scene(rng).camera for _ in range(400)]
    assert sum(camera in ("full", "knee") for camera in cameras) >= 0.65 * len(cameras)


def test_the_command_draws_the_person_of_a_seed(tmp_path: Path):
    path = tmp_path / "person.png"
    done = CliRunner().invoke(
        draw_person_command, [str(path), "--seed", "3", "--height", "90", "--width", "60"]
    )
    assert done.exception is None
    rng = np.random.default_rng(3)
    identity = sample_identity(rng)
    scene = sample_scene(rng, sex=identity.sex)
    assert done.output.strip() == caption(identity, scene)
    assert np.array_equal(np.asarray(Image.open(path)), render([(identity, scene)], 90, 60, rng).image)
