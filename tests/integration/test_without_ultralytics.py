"""The whole graph of a permissive deployment where ultralytics is not installed, with random weights of its formats."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file
from tiny_detectors import save_rt_detr, save_vitpose, save_yunet
from tiny_models import save_tiny_autoencoder, save_tiny_clip, save_tiny_stable_diffusion

from bolid_pipeline.curation.watermark_network import WatermarkClassifier
from bolid_pipeline.storage.tables import TableStore
from resources.settings_file import to_toml

REPOSITORY = Path(__file__).parents[2]

# What an import of a package that is not installed does, for the rest of the program.
PROGRAM = """
import sys

class NotInstalled:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "ultralytics":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled)

import json
from bolid_pipeline.definitions import defs

done = defs.resolve_job_def("full_refresh").execute_in_process()
print(json.dumps({
    "assets": [e.asset_key.to_user_string() for e in done.get_asset_materialization_events()],
    "ultralytics": [name for name in sys.modules if name.startswith("ultralytics")],
}))
"""


def save_weights(folder: Path) -> dict[str, str]:
    """Random weights in the published formats; returns role -> place. They see one person and no face in each photo."""
    base = save_tiny_stable_diffusion(folder / "sd15")
    watermark = folder / "watermarks" / "model.safetensors"
    watermark.parent.mkdir()
    sizes = {"widths": (8, 8, 8, 8), "depths": (1, 1, 1, 1), "head_widths": (8, 8)}
    save_file(WatermarkClassifier(**sizes).state_dict(), watermark)
    (watermark.parent / "config.json").write_text(json.dumps(sizes), "utf-8")
    clip = save_tiny_clip(folder / "clip")
    form = {
        "slots": {"shirt": ["red", "green"]},
        "caption": [{"text": "a photo of a person wearing a {shirt} shirt"}],
    }
    (clip / "slots.json").write_text(json.dumps(form), "utf-8")
    places = {
        "base_model": base,
        "image_encoder": base / "image_encoder",
        "feature_extractor": base / "feature_extractor",
        "watermark_classifier": watermark,
        "face_detector": save_yunet(folder / "yunet.onnx", face_logit=-20),
        "person_detector": save_rt_detr(folder / "rt_detr", queries=1),
        "pose_estimator": save_vitpose(folder / "vitpose"),
        "captioner": clip,
        "clip": clip,
        "tiny_autoencoder": save_tiny_autoencoder(folder / "taesd"),
    }
    return {role: str(place) for role, place in places.items()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """The data folder after a full refresh, and what the process says of itself."""
    folder = tmp_path_factory.mktemp("permissive")
    rng = np.random.default_rng(0)
    for person in ("anna_berg", "karl_lund"):
        (folder / "photos" / person).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 256, (96, 64, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / person / f"{number}.png")
    settings = {
        "deployment": "theplace_sd15_permissive",
        "source_url": (folder / "photos").as_uri(),
        "data_dir": str(folder / "data"),
        "weight_repositories": save_weights(folder),
        "crawl": {"min_photos": 1, "min_side_px": 16},
        "curation": {"min_side_px": 16, "min_photos_per_identity": 2, "max_watermark_prob": 1.0},
        "people": {"face_image_size_px": 64, "person_image_size_px": 64, "person_conf": 0.1},
        "pose": {"image_size_px": 64, "person_conf": 0.1},
        "captioner": {"kind": "clip"},
        "latents": {"resolution_px": 64, "bucket_multiple_px": 16},
        "training": {
            "steps": 1,
            "batch_size": 2,
            "start_from": None,
            "diffusion": {"l_id": {"weight": 1.0, "start_step": 0, "ramp_steps": 0}},
            "few_step": {
                "every_n_steps": 1,
                "batch_size": 1,
                "l_id": {"weight": 1.0, "start_step": 0, "ramp_steps": 0},
                "l_clip": {"weight": 1.0, "start_step": 0, "ramp_steps": 0},
            },
            "body": {"grid": 8, "width": 32, "num_layers": 1},
            "prior": None,
            "intervals": {"preview": None},
        },
        "evaluation": {
            "prompts": ["a {who} on a beach"],
            "height_px": 64,
            "width_px": 64,
            "num_inference_steps": 2,
            "num_timesteps": 1,
        },
    }
    (folder / "settings.toml").write_text(to_toml(settings), "utf-8")
    own = {name: value for name, value in os.environ.items() if not name.startswith("BOLID_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env={**own, "BOLID_SETTINGS": str(folder / "settings.toml"), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "data", json.loads(done.stdout.splitlines()[-1])


def test_the_whole_graph_runs_and_imports_nothing_of_ultralytics(finished):
    _, said = finished
    assert said["ultralytics"] == []
    assert said["assets"][-2:] == ["bolid_checkpoint", "evaluation_report"]


def test_every_photo_has_a_person_by_rt_detr_and_a_pose_by_vitpose(finished):
    tables = TableStore(finished[0])
    detections = tables.read("face_detections").to_pylist()
    assert [(row["num_faces"], row["num_persons"]) for row in detections] == [(0, 1)] * 8
    poses = tables.read("poses").to_pylist()
    assert [len(row["keypoints"]) for row in poses] == [17] * 8


def test_l_id_was_computed_by_vitpose(finished):
    metrics = json.loads(next(finished[0].glob("checkpoints/*/metrics.json")).read_text("utf-8"))
    assert metrics["few_step_l_id_last"] > 0
