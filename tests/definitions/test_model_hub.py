"""Weights that are not there, or not pinned, are named before anything is downloaded."""

import hashlib
import json
import re
from fnmatch import fnmatch

import pytest

from bolid_pipeline.errors import ConfigurationError, WeightsMismatch, WeightsMissing
from resources.deployments import DEPLOYMENTS
from resources.model_hub import EmbeddedModels, PublishedModels, model_hub_of
from resources.published_models import PUBLISHED

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path):
    """Someone's models, in a folder of weights."""
    for name in ("detector/model.pt", "base/unet/model.safetensors", "base/README.md"):
        path = tmp_path / "weights" / "someone" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return PublishedModels(
        addresses={"face_detector": "someone/detector/model.pt", "base_model": "someone/base"},
        pins_file=str(tmp_path / "pins.json"),
        weights_dir=str(tmp_path / "weights"),
    )


def test_a_missing_role_is_named_with_the_way_out(tmp_path):
    hub = EmbeddedModels(weights_dir=str(tmp_path))
    with pytest.raises(WeightsMissing, match=r"no weights at .*face_detector; restore it"):
        hub.file("face_detector")


def test_a_role_has_one_file(tmp_path):
    (tmp_path / "face_detector").mkdir()
    with pytest.raises(WeightsMissing, match="holds 0 safetensors files"):
        EmbeddedModels(weights_dir=str(tmp_path)).file("face_detector")
    (tmp_path / "face_detector" / "yolo11n-face.safetensors").touch()
    assert (
        EmbeddedModels(weights_dir=str(tmp_path)).file("face_detector").path.name
        == "yolo11n-face.safetensors"
    )


def test_the_demo_uses_what_lies_in_the_repository(tmp_path):
    assert isinstance(model_hub_of(DEPLOYMENTS["demo"](tmp_path)), EmbeddedModels)


@pytest.mark.parametrize("name", list(DEPLOYMENTS))
def test_every_model_of_a_deployment_is_known_with_its_licence(name, tmp_path):
    addresses = DEPLOYMENTS[name](tmp_path).weight_repositories.values()
    assert [address for address in addresses if address not in PUBLISHED] == []


@pytest.mark.parametrize("name", [name for name in DEPLOYMENTS if name.endswith("_permissive")])
def test_every_model_of_a_permissive_deployment_may_be_used_in_a_product(name, tmp_path):
    models = [PUBLISHED[address] for address in DEPLOYMENTS[name](tmp_path).weight_repositories.values()]
    assert len(models) >= 9
    assert [m.address for m in models if m.licence is None or not m.licence.allows_products] == []


def test_a_folder_of_weights_needs_no_network_and_no_pin(hub, tmp_path):
    assert hub.folder("base_model") == tmp_path / "weights" / "someone" / "base"
    assert hub.file("face_detector").path == tmp_path / "weights" / "someone" / "detector" / "model.pt"
    assert hub.file("face_detector").sha256 is None


def test_a_model_of_ones_own_is_named_by_its_path(tmp_path):
    (tmp_path / "mine.pt").write_bytes(b"mine")
    pins = tmp_path / "pins.json"
    hub = PublishedModels(addresses={"face_detector": str(tmp_path / "mine.pt")}, pins_file=str(pins))
    pinned = hashlib.sha256(b"mine").hexdigest()
    pins.write_text(json.dumps({str(tmp_path): {"sha256": {"mine.pt": pinned}}}))
    assert hub.file("face_detector").sha256 == pinned
    (tmp_path / "mine.pt").unlink()
    with pytest.raises(WeightsMissing, match=rf"{tmp_path} holds no mine.pt"):
        hub.file("face_detector")


@pytest.mark.parametrize(
    ("role", "file"), [("face_detector", "model.pt"), ("base_model", "unet/model.safetensors")]
)
def test_another_file_than_the_pinned_one_is_refused(role, file, hub, tmp_path):
    repository = "/".join(hub.addresses[role].split("/")[:2])
    ask = hub.folder if role == "base_model" else hub.file
    right = hashlib.sha256((tmp_path / "weights" / repository / file).read_bytes()).hexdigest()
    (tmp_path / "pins.json").write_text(json.dumps({repository: {"sha256": {file: right}}}))
    ask(role)
    (tmp_path / "pins.json").write_text(json.dumps({repository: {"sha256": {file: "0" * 64}}}))
    with pytest.raises(WeightsMismatch, match=rf"{file} has sha256 {right}, but 0{{64}} is pinned"):
        ask(role)


def test_a_model_that_would_be_downloaded_needs_a_pinned_revision(hub, tmp_path):
    (tmp_path / "weights" / "someone" / "detector" / "model.pt").unlink()
    with pytest.raises(ConfigurationError, match=r"someone/detector/model\.pt is not pinned"):
        hub.file("face_detector")


def test_an_unknown_role_is_named_with_the_known_ones(hub):
    with pytest.raises(
        ConfigurationError, match="no model for 'captioner', only for face_detector, base_model"
    ):
        hub.folder("captioner")


def test_a_file_is_no_folder_and_a_folder_no_file(hub):
    with pytest.raises(
        ConfigurationError, match="the model of base_model is one file, but someone/base is a"
    ):
        hub.file("base_model")
    with pytest.raises(ConfigurationError, match=r"face_detector is a folder, but .*model\.pt is one file"):
        hub.folder("face_detector")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"someone/base": {"commit": "x"}}',
        '{"someone/base": "main"}',
        '{"someone/base": {"revision": "main"}}',
    ],
)
def test_a_file_that_holds_no_pins_is_refused(content, hub, tmp_path):
    (tmp_path / "pins.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"pins\.json holds no pins"):
        hub.folder("base_model")


@pytest.mark.parametrize("model", PUBLISHED.values(), ids=PUBLISHED)
def test_an_entry_of_the_registry_is_well_formed(model):
    assert model.licence is not None
    assert model.revision is None or re.fullmatch("[0-9a-f]{40}", model.revision)
    assert not model.sha256 or model.source
    for path, sha256 in model.sha256.items():
        assert any(fnmatch(path, pattern) for pattern in model.patterns), path
        assert re.fullmatch("[0-9a-f]{64}", sha256)
