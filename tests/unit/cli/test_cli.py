"""The command line's own part: options, exit codes, errors in one line."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bolid_pipeline.cli import main
from bolid_pipeline.storage.tables import TableStore


@pytest.fixture
def bolid(tmp_path):
    """Runs `bolid ARGUMENTS` with its data under tmp_path / data."""

    def run(*arguments, **environment):
        return CliRunner().invoke(
            main, arguments, env={"BOLID_DATA_DIR": str(tmp_path / "data"), **environment}
        )

    return run


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("generate",),
        ("bodyworld",),
        ("bodyworld", "site"),
        ("bodyworld", "render"),
        ("forget",),
        ("crawl",),
        ("prune",),
    ],
)
def test_every_command_explains_itself(bolid, command):
    shown = bolid(*command, "--help")
    assert shown.exit_code == 0
    assert "Usage:" in shown.output


def test_an_error_is_one_line_and_the_exit_code_1(bolid):
    failed = bolid("forget", "nobody", "--yes", BOLID_DEPLOYMENT="demno")
    assert failed.exit_code == 1
    assert failed.output == (
        "Error: BOLID_DEPLOYMENT is 'demno'; known deployments: demo, theplace_sd15, theplace_sdxl, "
        "theplace_sd15_permissive, theplace_sdxl_permissive\n"
    )


def test_a_site_without_a_world_says_how_to_get_one(bolid, tmp_path):
    failed = bolid("bodyworld", "site", str(tmp_path))
    assert failed.exit_code == 1
    assert "bolid bodyworld render" in failed.output


def test_generate_without_a_checkpoint_says_so(bolid, tmp_path):
    failed = bolid("generate", "--prompt", "a person", "--out", str(tmp_path / "out"))
    assert failed.exit_code == 1
    assert "checkpoint" in failed.output
    assert not (tmp_path / "out").exists()


def test_rendering_writes_the_world_the_site_shows(bolid, tmp_path):
    folder = tmp_path / "world"
    done = bolid("bodyworld", "render", str(folder), "--identities", "1", "--photos", "2", "--seed", "7")
    assert done.exit_code == 0, done.output
    assert json.loads((folder / "world.json").read_text("utf-8"))["galleries"]


@pytest.fixture
def own_photos(tmp_path):
    """A folder per person: three photos of Anna, one of Boris."""
    for person, count in (("anna", 3), ("boris", 1)):
        for number in range(count):
            pixels = np.random.default_rng([count, number]).integers(0, 255, (40, 30, 3), dtype=np.uint8)
            path = tmp_path / "own photos" / person / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return (tmp_path / "own photos").as_uri()


def test_a_dry_run_says_what_would_be_fetched_and_fetches_nothing(bolid, tmp_path, own_photos):
    said = bolid("crawl", "--dry-run", "--min-photos", "1", "--max-photos", "2", BOLID_SOURCE_URL=own_photos)
    assert said.exit_code == 0, said.output
    assert "anna: 3 listed, 0 stored, 0 refused, 2 to fetch" in said.output
    assert "2 people, 3 photos to fetch" in said.output
    assert not (tmp_path / "data" / "photos").exists()


def test_a_folder_of_ones_own_is_crawled_within_the_bounds_of_the_command_line(bolid, tmp_path, own_photos):
    tables = TableStore(tmp_path / "data")
    done = bolid("crawl", "--min-photos", "1", "--block", "anna", BOLID_SOURCE_URL=own_photos)
    assert done.exit_code == 0, done.output
    assert "1 new photos, 0 known" in done.output
    assert tables.read("raw_photos")["identity"].to_pylist() == ["boris"]
    bolid("crawl", "--min-photos", "1", "--only", "anna", BOLID_SOURCE_URL=own_photos)
    assert sorted(tables.read("raw_photos")["identity"].to_pylist()) == ["anna"] * 3 + ["boris"]


def test_parsers_of_another_site_that_are_none_are_named(bolid):
    options = {"BOLID_SOURCE_URL": "http://127.0.0.1:9", "BOLID_DEPLOYMENT": "theplace_sd15"}
    missing = bolid("crawl", BOLID_SITE_PARSERS="no_such_site", **options)
    assert "no module no_such_site" in missing.output
    wrong = bolid("crawl", BOLID_SITE_PARSERS="json", **options)
    assert "json lacks INDEX_PATH, parse_letter_urls" in wrong.output


WITHOUT_BODYWORLD = """
import importlib.abc, sys
class NotInstalled(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "bodyworld":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NotInstalled())
from bolid_pipeline.cli import main
main(sys.argv[1:])
"""


def without_bodyworld(*arguments: str, **environment: str):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_BODYWORLD, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", [("bodyworld", "render", "world"), ("bodyworld", "site"), ("crawl",)])
def test_a_command_that_needs_the_synthetic_world_says_that_it_is_not_installed(command, tmp_path):
    failed = without_bodyworld(*command, BOLID_DATA_DIR=str(tmp_path))
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "need the package bodyworld, which is not installed" in failed.stderr


def test_ones_own_photos_are_crawled_without_the_synthetic_world(tmp_path, own_photos):
    done = without_bodyworld(
        "crawl", "--min-photos", "1", BOLID_DATA_DIR=str(tmp_path / "data"), BOLID_SOURCE_URL=own_photos
    )
    assert done.returncode == 0, done.stderr
    assert "4 new photos" in done.stdout
