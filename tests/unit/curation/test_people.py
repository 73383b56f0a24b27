from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from bolid_pipeline.curation.config import PeopleConfig
from bolid_pipeline.curation.recipes import PeopleRecipe
from bolid_pipeline.detection.yolo import build_yolo, detect, load_yolo, save_yolo
from bolid_pipeline.images.decoding import encode_jpeg
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.storage.photos import PhotoStore

CONFIG = PeopleConfig(face_conf=0.01, person_conf=0.01, face_image_size_px=64, person_image_size_px=96)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> tuple[Path, Path]:
    """A face detector and a pose estimator that see something in noise."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    for name, config, kpt_shape in (("face", "yolo11n.yaml", None), ("pose", "yolo11n-pose.yaml", (17, 3))):
        model = build_yolo(config, 1, kpt_shape)
        head: Any = model.get_submodule("model.23")
        for layer in head.cv3:
            torch.nn.init.constant_(layer[-1].bias, -2.5)
        save_yolo(model, folder / f"{name}.safetensors", config)
    return folder / "face.safetensors", folder / "pose.safetensors"


def recipe_of(face, pose, config=CONFIG):
    return PeopleRecipe(
        face_weights=WeightsFile(path=face), person_weights=WeightsFile(path=pose), config=config
    )


def test_counts_and_boxes_in_px_of_the_stored_photo(weights, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (400, 300, 3), np.uint8)
    store = PhotoStore(tmp_path)
    paths = [store.add(data, "jpg")[1] for data in (encode_jpeg(image, 95), b"broken")]
    photos = pa.table({"photo_id": ["a", "b"], "path": paths, "width_px": [300, 1], "height_px": [400, 1]})

    recipe = recipe_of(*weights)
    rows = recipe.open(store, "cpu")(photos)

    assert rows.schema == recipe.made_columns
    found, broken = rows.to_pylist()
    assert broken == {
        "photo_id": "b",
        "num_faces": None,
        "num_persons": None,
        "faces": None,
    }
    small = (
        image.reshape(200, 2, 150, 2, 3).mean((1, 3)).round().astype(np.uint8)
    )  # as it is decoded for 96 px
    faces, persons = (
        detect(load_yolo(path), [small], image_size=size, conf=0.01, iou=0.5)[0]
        for path, size in zip(weights, (64, 96), strict=True)
    )
    assert found["num_faces"] == len(found["faces"])
    assert abs(found["num_faces"] - len(faces.conf)) <= max(2, len(faces.conf) // 10)
    assert abs(found["num_persons"] - len(persons.conf)) <= max(2, len(persons.conf) // 10)
    assert len(faces.conf)
    box = found["faces"][0]
    np.testing.assert_allclose(
        [box[side] for side in ("x1", "y1", "x2", "y2")], 2 * faces.boxes_xyxy[0], atol=8
    )
    assert 0 <= box["x1"] < box["x2"] <= 300
    assert 0 <= box["y1"] < box["y2"] <= 400


def test_whatever_changes_the_counts_changes_the_fingerprint(weights):
    face, pose = weights
    changes = {
        "face_conf": 0.125,
        "person_conf": 0.125,
        "iou": 0.125,
        "face_image_size_px": 320,
        "person_image_size_px": 320,
    }
    recipes = [
        recipe_of(face, pose),
        recipe_of(pose, pose),
        recipe_of(face, face),
        *(recipe_of(face, pose, replace(CONFIG, **{name: value})) for name, value in changes.items()),
    ]
    assert len({recipe.fingerprint for recipe in recipes}) == 8
