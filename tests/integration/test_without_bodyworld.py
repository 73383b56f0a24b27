"""The product where the package bodyworld is not installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).parents[2]

# What an import of a package that is not installed does, for the rest of the program.
WITHOUT_BODYWORLD = """
import sys

class NotInstalled:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "bodyworld":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled)
"""
CRAWL = """
import json
import dagster as dg
from bolid_pipeline.definitions import defs

job = defs.resolve_job_def("dataset_refresh")
crawl = [dg.AssetKey("identity_catalogue"), dg.AssetKey("raw_photos")]
done = job.execute_in_process(asset_selection=crawl)
print(json.dumps({event.asset_key.to_user_string(): event.metadata["dagster/row_count"].value
    for event in (e.materialization for e in done.get_asset_materialization_events())}))
"""
RENDER = """
from bolid_pipeline.cli import main

main(["bodyworld", "render", "world"])
"""


def run_without_bodyworld(program: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("BOLID_")}
    environment = own | {"BOLID_DATA_DIR": str(folder / "data"), "PYTHONPATH": str(REPOSITORY)} | variables
    command = [sys.executable, "-c", WITHOUT_BODYWORLD + program]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_folder_of_photos_is_crawled(tmp_path: Path):
    rng = np.random.default_rng(0)
    for person in ("anna_berg", "karl_lund"):
        (tmp_path / "photos" / person).mkdir(parents=True)
        for number in range(2):
            pixels = rng.integers(0, 256, (64, 48, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / person / f"{number}.png")
    settings = tmp_path / "settings.toml"
    settings.write_text("deployment = 'theplace_sd15'\n[crawl]\nmin_photos = 1\nmin_side_px = 16\n", "utf-8")
    done = run_without_bodyworld(
        CRAWL, tmp_path, BOLID_SETTINGS=str(settings), BOLID_SOURCE_URL=(tmp_path / "photos").as_uri()
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "catalogue_pages": 0,
        "identity_catalogue": 2,
        "photo_pages": 4,
        "raw_photos": 4,
        "rejected_downloads": 0,
    }


def test_the_demo_says_in_one_line_what_is_missing(tmp_path: Path):
    done = run_without_bodyworld("import bolid_pipeline.definitions", tmp_path, BOLID_DEPLOYMENT="demo")
    assert done.returncode != 0
    last_line = done.stderr.strip().splitlines()[-1]
    assert "ConfigurationError" in last_line
    assert "bodyworld" in last_line
    assert "install" in last_line


def test_a_command_about_the_world_says_in_one_line_what_is_missing(tmp_path: Path):
    done = run_without_bodyworld(RENDER, tmp_path)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert "bodyworld" in done.stderr
    assert "install" in done.stderr
