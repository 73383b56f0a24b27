"""Every detector of the deployments, with random weights in the format that it is published in."""

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_detectors import save_rt_detr, save_vitpose, save_yunet
from yolo_checkpoints import save_checkpoint

from bolid_pipeline.curation.config import PeopleConfig
from bolid_pipeline.curation.recipes import PeopleRecipe
from bolid_pipeline.detection.opening import open_face_detector, open_person_detector, open_pose_estimator
from bolid_pipeline.errors import WeightsMismatch, WeightsMissing
from bolid_pipeline.images.decoding import encode_jpeg
from bolid_pipeline.pose.config import PoseConfig
from bolid_pipeline.pose.recipe import PoseRecipe
from bolid_pipeline.pretrained.weights import Weights, WeightsFile
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.training.pose_network import open_pose_network
from resources.deployments import Role
from resources.environment import current_deployment
from resources.model_hub import ModelHub, model_hub_of
from resources.published_models import published_model

ROLES: tuple[Role, ...] = ("face_detector", "person_detector", "pose_estimator")
FAMILIES = ("theplace_sd15", "theplace_sd15_permissive")
PERSON, FACE = {0: "person"}, {0: "face"}
COCO = {0: "person", 1: "bicycle", 2: "car"}
HEIGHT, WIDTH = 200, 150


@pytest.fixture(scope="module")
def weights_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The detectors of both families as the hub lays them out, and the plain detector yolo11n.pt."""
    folder = tmp_path_factory.mktemp("weights")
    save_checkpoint(folder / "AdamCodd/YOLOv11n-face-detection/model.pt", "yolo11n.yaml", FACE)
    yolo = folder / "Ultralytics/YOLO11"
    save_checkpoint(yolo / "yolo11n-pose.pt", "yolo11n-pose.yaml", PERSON, (17, 3))
    save_checkpoint(yolo / "yolo11n.pt", "yolo11n.yaml", COCO)
    (folder / "opencv/face_detection_yunet").mkdir(parents=True)
    save_yunet(folder / "opencv/face_detection_yunet/face_detection_yunet_2023mar.onnx")
    save_rt_detr(folder / "PekingU/rtdetr_r50vd")
    save_vitpose(folder / "usyd-community/vitpose-base-simple")
    return folder


def hub_of(name: str, weights_dir: Path, folder: Path) -> ModelHub:
    """The models of a deployment, pinned as they lie there: the hashes of the registry are those of trained weights."""
    deployment = current_deployment({"BOLID_DEPLOYMENT": name, "BOLID_DATA_DIR": str(folder)})
    pins: dict[str, dict[str, dict[str, str]]] = {}
    for role in ROLES:
        model = published_model(deployment.weight_repositories[role])
        root = weights_dir / model.repository
        names = [path for pattern in model.patterns for path in root.glob(pattern)]
        pins[model.repository] = {
            "sha256": {path.relative_to(root).as_posix(): sha256_of(path) for path in names}
        }
    (folder / "pins.json").write_text(json.dumps(pins), "utf-8")
    variables = {"BOLID_WEIGHTS_DIR": str(weights_dir), "BOLID_WEIGHT_PINS": str(folder / "pins.json")}
    return model_hub_of(
        current_deployment({"BOLID_DEPLOYMENT": name, "BOLID_DATA_DIR": str(folder), **variables})
    )


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pinned(path: Path) -> WeightsFile:
    return WeightsFile(path=path, sha256=sha256_of(path))


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> tuple[PhotoStore, pa.Table]:
    """A photo of noise in its store."""
    store = PhotoStore(tmp_path_factory.mktemp("photos"))
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    rows = {"photo_id": ["a"], "path": [store.add(encode_jpeg(image, 95), "jpg")[1]]}
    return store, pa.table({**rows, "width_px": [WIDTH], "height_px": [HEIGHT]})


@pytest.mark.parametrize("name", FAMILIES)
def test_faces_and_persons_are_found_in_a_photo(name, weights_dir, photo, tmp_path):
    hub = hub_of(name, weights_dir, tmp_path)
    recipe = PeopleRecipe(
        face_weights=hub.weights("face_detector"),
        person_weights=hub.weights("person_detector"),
        config=PeopleConfig(face_conf=0.01, person_conf=0.01, face_image_size_px=96, person_image_size_px=96),
    )
    store, photos = photo
    (found,) = recipe.open(store, "cpu")(photos).to_pylist()
    assert found["num_faces"] == len(found["faces"]) > 0
    assert found["num_persons"] > 0
    assert found["faces"] == sorted(found["faces"], key=lambda face: -face["conf"])
    for face in found["faces"]:
        assert 0 <= face["x1"] <= face["x2"] <= WIDTH
        assert 0 <= face["y1"] <= face["y2"] <= HEIGHT


@pytest.mark.parametrize("name", FAMILIES)
def test_the_surest_person_of_a_photo_has_the_keypoints_of_coco(name, weights_dir, photo, tmp_path):
    hub = hub_of(name, weights_dir, tmp_path)
    recipe = PoseRecipe(
        weights=hub.weights("pose_estimator"),
        person_weights=hub.weights("person_detector"),
        config=PoseConfig(image_size_px=96, person_conf=0.01),
    )
    store, photos = photo
    (found,) = recipe.open(store, "cpu")(photos).to_pylist()
    keypoints = np.array(found["keypoints"])
    assert keypoints.shape == (17, 3)
    assert ((keypoints[:, 2] >= 0) & (keypoints[:, 2] <= 1)).all()
    x1, y1, x2, y2 = found["person_box"]
    assert 0 <= x1 < x2 <= WIDTH
    assert 0 <= y1 < y2 <= HEIGHT


@pytest.mark.parametrize("name", FAMILIES)
def test_l_id_has_a_gradient_in_the_picture(name, weights_dir, tmp_path):
    network = open_pose_network(hub_of(name, weights_dir, tmp_path).weights("pose_estimator"), 64)
    pixels = torch.rand(2, 3, 96, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = network(pixels)
    assert found.keypoints_BK2.shape == (2, 17, 2)
    assert found.person_B.shape == (2,)
    assert not found.confidence_BK.requires_grad
    (gradient,) = torch.autograd.grad(found.keypoints_BK2.square().sum(), pixels)
    assert gradient.abs().sum(dim=(1, 2, 3)).min() > 0


def refusal(open_it) -> str:
    """The one line with which weights are refused."""
    with pytest.raises(WeightsMismatch) as refused:
        open_it()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_yolo_of_another_task_is_refused(weights_dir):
    face = pinned(weights_dir / "AdamCodd/YOLOv11n-face-detection/model.pt")
    pose = pinned(weights_dir / "Ultralytics/YOLO11/yolo11n-pose.pt")
    plain = pinned(weights_dir / "Ultralytics/YOLO11/yolo11n.pt")
    assert "finds person, not a face" in refusal(lambda: open_face_detector(pose))
    assert "finds person, bicycle, car, not a face" in refusal(lambda: open_face_detector(plain))
    assert "finds face, not a person" in refusal(lambda: open_person_detector(face))
    assert "finds no keypoints" in refusal(lambda: open_pose_estimator(plain, plain))
    assert open_person_detector(plain).num_keypoints == 0  # of its 80 classes, one is `person`


def test_a_model_folder_of_another_task_is_refused(weights_dir, tmp_path):
    persons = weights_dir / "PekingU/rtdetr_r50vd"
    poses = weights_dir / "usyd-community/vitpose-base-simple"
    assert "of type vitpose, not rt_detr or rt_detr_v2" in refusal(lambda: open_person_detector(poses))
    assert "of type rt_detr, not vitpose" in refusal(lambda: open_pose_estimator(persons, persons))
    cats = save_rt_detr(tmp_path / "cats", classes={0: "cat", 1: "dog"})
    assert "finds no persons" in refusal(lambda: open_person_detector(cats))
    hands = save_vitpose(tmp_path / "hands", keypoints=21)
    assert "finds 21 keypoints, not the 17 of COCO" in refusal(lambda: open_pose_estimator(hands, persons))


@pytest.mark.parametrize("folder", ["PekingU/rtdetr_r50vd", "usyd-community/vitpose-base-simple"])
def test_a_model_folder_that_lacks_a_weight_is_refused(folder, weights_dir, tmp_path):
    spoilt = tmp_path / "spoilt"
    shutil.copytree(weights_dir / folder, spoilt)
    state = load_file(spoilt / "model.safetensors")
    name = next(name for name in state if name.endswith("q_proj.weight") or "attention.query.weight" in name)
    del state[name]
    save_file(state, spoilt / "model.safetensors", {"format": "pt"})
    assert "lacks 1 weights of its network" in refusal(lambda: open_from(spoilt, weights_dir))


def open_from(spoilt: Path, weights_dir: Path) -> object:
    """Open weights for the role that their name tells."""
    weights: Weights = spoilt if spoilt.is_dir() else pinned(spoilt)
    if spoilt.suffix == ".onnx":
        return open_face_detector(weights)
    if (spoilt / "config.json").is_file() and "vitpose" in (spoilt / "config.json").read_text():
        return open_pose_estimator(weights, weights_dir / "PekingU/rtdetr_r50vd")
    return open_person_detector(weights)


@pytest.mark.parametrize(
    "file",
    [
        "Ultralytics/YOLO11/yolo11n-pose.pt",
        "opencv/face_detection_yunet/face_detection_yunet_2023mar.onnx",
        "PekingU/rtdetr_r50vd/model.safetensors",
        "usyd-community/vitpose-base-simple/model.safetensors",
    ],
)
def test_a_truncated_file_is_refused_by_its_place(file, weights_dir, tmp_path):
    source = weights_dir / file
    is_folder = source.name == "model.safetensors"
    spoilt = tmp_path / (source.parent.name if is_folder else source.name)
    if is_folder:
        shutil.copytree(source.parent, spoilt)
    whole = source.read_bytes()
    (spoilt / source.name if is_folder else spoilt).write_bytes(whole[: len(whole) // 2])
    assert str(spoilt) in refusal(lambda: open_from(spoilt, weights_dir))


@pytest.mark.parametrize("name", FAMILIES)
def test_other_weights_than_the_pinned_ones_are_refused(name, weights_dir, tmp_path):
    hub = hub_of(name, weights_dir, tmp_path)
    pins = json.loads((tmp_path / "pins.json").read_text("utf-8"))
    zeros = {
        repository: {"sha256": dict.fromkeys(pin["sha256"], "0" * 64)} for repository, pin in pins.items()
    }
    (tmp_path / "pins.json").write_text(json.dumps(zeros), "utf-8")
    for role in ROLES:
        assert "has sha256" in refusal(partial(hub.weights, role))


def test_a_network_that_is_no_yunet_is_refused(tmp_path):
    other = save_yunet(tmp_path / "other.onnx", outputs=("cls",))
    assert str(other) in refusal(lambda: open_face_detector(WeightsFile(path=other)))
    with pytest.raises(WeightsMissing, match=r"gone\.onnx"):
        open_face_detector(WeightsFile(path=tmp_path / "gone.onnx"))
