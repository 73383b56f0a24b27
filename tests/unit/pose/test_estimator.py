from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from bolid_pipeline.detection.yolo import build_yolo, detect, load_yolo, save_yolo
from bolid_pipeline.errors import WeightsMismatch
from bolid_pipeline.images.decoding import encode_jpeg, resize_to
from bolid_pipeline.pose.config import PoseConfig
from bolid_pipeline.pose.recipe import PoseRecipe
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.storage.photos import PhotoStore

CONFIG = PoseConfig(image_size_px=96, person_conf=0.01)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A pose estimator that sees someone in noise, and a plain detector that does too."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    for name, kpt_shape in (("yolo11n-pose", (17, 3)), ("yolo11n", None)):
        model = build_yolo(f"{name}.yaml", 1, kpt_shape)
        head: Any = model.get_submodule("model.23")
        for layer in head.cv3:
            torch.nn.init.constant_(layer[-1].bias, -2.5)
        save_yolo(model, folder / f"{name}.safetensors", f"{name}.yaml")
    return folder / "yolo11n-pose.safetensors", folder / "yolo11n.safetensors"


def recipe_of(path, config=CONFIG):
    weights = WeightsFile(path=path)
    return PoseRecipe(weights=weights, person_weights=weights, config=config)


@pytest.fixture
def photos(tmp_path):
    """Two photos, the second unreadable, and the store they are in."""
    image = np.random.default_rng(0).integers(0, 256, (10, 8, 3), np.uint8)
    store = PhotoStore(tmp_path)
    jpegs = (encode_jpeg(resize_to(image, 500, 400), 95), b"broken")
    paths = [store.add(data, "jpg")[1] for data in jpegs]
    rows = pa.table({"photo_id": ["a", "b"], "path": paths, "width_px": [400, 1], "height_px": [500, 1]})
    return store, rows, resize_to(image, 125, 100)


def test_the_surest_person_in_px_of_the_stored_photo(weights, photos):
    store, rows, small = photos

    recipe = recipe_of(weights[0])
    found, broken = (poses := recipe.open(store, "cpu")(rows)).to_pylist()

    assert poses.schema == recipe.made_columns
    assert broken == {"photo_id": "b", "keypoints": None, "person_box": None}
    (people,) = detect(load_yolo(weights[0]), [small], image_size=96, conf=0.01)
    np.testing.assert_allclose(found["person_box"], 4 * people.boxes_xyxy[0], atol=12)
    np.testing.assert_allclose(np.array(found["keypoints"])[:, :2], 4 * people.keypoints[0, :, :2], atol=12)
    assert (np.array(found["keypoints"])[:, 2] <= 1).all()


def test_nobody_is_a_row_without_a_pose(weights, photos):
    store, rows, _ = photos
    stage = recipe_of(weights[0], replace(CONFIG, person_conf=0.99)).open(store, "cpu")
    assert stage(rows.slice(0, 1)).to_pylist() == [{"photo_id": "a", "keypoints": None, "person_box": None}]


def test_a_detector_without_keypoints_is_refused(weights, photos):
    store, rows, _ = photos
    with pytest.raises(WeightsMismatch, match="no keypoints"):
        recipe_of(weights[1]).open(store, "cpu")(rows)


def test_weights_and_settings_are_in_the_fingerprint(weights):
    recipes = (
        recipe_of(weights[0]),
        recipe_of(weights[1]),
        recipe_of(weights[0], replace(CONFIG, iou=0.1)),
    )
    assert len({recipe.fingerprint for recipe in recipes}) == 3
