"""`bolid models` in a process of its own, with the variables that its users set."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hub_server import REVISION, HubServer, sha256

from bolid_pipeline.cli import main

WEIGHTS = b"a detector" * 1000
SETTINGS = """
deployment = "theplace_sd15"
[weight_repositories]
face_detector = "owner/detector/model.pt"
"""


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "mine.toml").write_text(SETTINGS)
    return {
        "BOLID_SETTINGS": str(tmp_path / "mine.toml"),
        "BOLID_DATA_DIR": str(tmp_path / "data"),
        "BOLID_WEIGHTS_DIR": str(tmp_path / "weights"),
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def test_an_unpinned_model_is_pinned_fetched_and_verified(environment, tmp_path, monkeypatch):
    def models(*arguments: str) -> Result:
        return CliRunner(env=environment).invoke(main, ["models", *arguments, "face_detector"])

    with HubServer({"owner/detector": {"model.pt": WEIGHTS}}) as hub:
        hub.used_by(monkeypatch, tmp_path / "home" / "hub")
        refused = models("fetch")
        assert refused.exit_code == 1
        assert "Error: face_detector: owner/detector/model.pt is not pinned" in refused.output
        assert models("pin").exit_code == 0
        pins = json.loads((tmp_path / "data" / "weight_pins.json").read_text())
        assert pins == {"owner/detector": {"revision": REVISION, "sha256": {"model.pt": sha256(WEIGHTS)}}}
        assert models("verify").output.startswith(
            "Error: face_detector: owner/detector/model.pt is not on this"
        )
        # In a process of its own, as users do: the library reads HF_ENDPOINT and HF_HOME when it is imported.
        variables = {**os.environ, **environment, "HF_ENDPOINT": hub.url}
        command = ["bolid", "models", "fetch", "face_detector"]
        fetched = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
    path = Path(fetched.removeprefix("face_detector: ").partition(" (Hugging Face cache)")[0])
    assert path.read_bytes() == WEIGHTS
    assert models("verify").output == "face_detector: 1 files are right\n"
    path.resolve().write_bytes(b"other bytes")
    verified = models("verify")
    assert verified.exit_code == 1
    assert f"{sha256(WEIGHTS)} is pinned" in verified.output


def test_the_list_names_every_role_with_licence_size_and_place(environment, tmp_path):
    detector = tmp_path / "weights" / "owner" / "detector" / "model.pt"
    detector.parent.mkdir(parents=True)
    detector.write_bytes(WEIGHTS)
    listed = CliRunner(env=environment).invoke(main, ["models"])
    assert listed.exit_code == 0, listed.output
    rows = {line.split()[0]: line for line in listed.output.splitlines()}
    assert re.search(
        r"owner/detector/model.pt +not known +10.0 kB +BOLID_WEIGHTS_DIR +0 of 1$", rows["face_detector"]
    )
    assert re.search(r"Qwen Research License +7.5 GB +nowhere here +2$", rows["captioner"])


def test_the_embedded_models_are_listed_and_need_no_pins(tmp_path):
    run = CliRunner(env={"BOLID_DATA_DIR": str(tmp_path)})
    listed = run.invoke(main, ["models"]).output
    assert {line.split()[0] for line in listed.splitlines()[1:]} == {
        "base_model",
        "clip",
        "face_detector",
        "pose_estimator",
        "watermark_classifier",
    }
    refused = run.invoke(main, ["models", "pin"])
    assert refused.exit_code == 1
    assert "travel with BoLID" in refused.output


def test_an_unknown_role_is_named_with_the_known_ones(environment):
    refused = CliRunner(env=environment).invoke(main, ["models", "verify", "face"])
    assert refused.exit_code == 1
    assert (
        "theplace_sd15 has no model for face; its roles are watermark_classifier, face_detector"
        in refused.output
    )


def test_a_missing_model_is_an_error_and_the_others_are_verified_all_the_same(environment, tmp_path):
    detector = tmp_path / "weights" / "owner" / "detector" / "model.pt"
    detector.parent.mkdir(parents=True)
    detector.write_bytes(WEIGHTS)
    verified = CliRunner(env=environment).invoke(main, ["models", "verify", "clip", "face_detector"])
    assert verified.exit_code == 1
    assert (
        "Error: clip: openai/clip-vit-large-patch14 is not on this machine: `bolid models fetch`"
        in verified.output
    )
    assert "face_detector: 0 files are right, of 1 no sha256 is known" in verified.output


def test_without_a_network_only_the_first_model_is_waited_for(environment, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    with HubServer({}) as hub:
        hub.used_by(monkeypatch, tmp_path / "home" / "hub")
    fetched = CliRunner(env=environment).invoke(main, ["models", "fetch", "clip", "captioner"])
    assert fetched.exit_code == 1
    errors = [line for line in fetched.output.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert f"{hub.url}: " in errors[0]
