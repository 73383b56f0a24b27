"""Weights that are not there, or not pinned, are named before anything is downloaded."""

import json

import pytest

from bolid_pipeline.errors import ConfigurationError, WeightsMissing
from resources.deployments import DEPLOYMENTS
from resources.model_hub import EmbeddedModels, HubModels, model_hub_of

REVISION = "0123456789abcdef0123456789abcdef01234567"


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


@pytest.mark.parametrize("role", ["watermark_classifier", "base_model"])
def test_published_weights_need_a_pin(role, tmp_path):
    hub = model_hub_of(DEPLOYMENTS["theplace_sd15"](tmp_path))
    ask = hub.folder if role == "base_model" else hub.file
    with pytest.raises(
        ConfigurationError, match=rf"{role} .* are not pinned; name a JSON file in BOLID_WEIGHT_PINS"
    ):
        ask(role)


def test_a_single_file_needs_its_sha256(tmp_path):
    pins = tmp_path / "pins.json"
    pins.write_text(json.dumps({"face_detector": {"revision": REVISION}}))
    hub = HubModels(repositories={"face_detector": "someone/detector/model.pt"}, pins_file=str(pins))
    with pytest.raises(ConfigurationError, match="no sha256 for face_detector"):
        hub.file("face_detector")


@pytest.mark.parametrize("content", ["", "[]", '{"base_model": {"commit": "x"}}', '{"base_model": "main"}'])
def test_a_file_that_holds_no_pins_is_refused(content, tmp_path):
    pins = tmp_path / "pins.json"
    pins.write_text(content)
    hub = HubModels(repositories={"base_model": "someone/base"}, pins_file=str(pins))
    with pytest.raises(ConfigurationError, match="holds no pins"):
        hub.folder("base_model")
