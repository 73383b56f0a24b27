"""The command line's own part: options, exit codes, errors in one line."""

import json

import pytest
from click.testing import CliRunner

from bolid_pipeline.cli import main
from bolid_pipeline.storage.forgotten import forgotten_identities
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
    [(), ("generate",), ("bodyworld",), ("bodyworld", "site"), ("bodyworld", "render"), ("forget",)],
)
def test_every_command_explains_itself(bolid, command):
    shown = bolid(*command, "--help")
    assert shown.exit_code == 0
    assert "Usage:" in shown.output


def test_an_error_is_one_line_and_the_exit_code_1(bolid):
    failed = bolid("forget", "nobody", "--yes", BOLID_DEPLOYMENT="demno")
    assert failed.exit_code == 1
    assert failed.output == (
        "Error: BOLID_DEPLOYMENT is 'demno'; known deployments: demo, theplace_sd15, theplace_sdxl\n"
    )


def test_a_site_without_a_world_says_how_to_get_one(bolid, tmp_path):
    failed = bolid("bodyworld", "site", str(tmp_path))
    assert failed.exit_code == 1
    assert "bolid bodyworld render" in failed.output


def test_generate_without_a_checkpoint_says_so(bolid, tmp_path):
    failed = bolid("generate", "a person", "--out", str(tmp_path / "picture.png"))
    assert failed.exit_code == 1
    assert "checkpoint" in failed.output
    assert not (tmp_path / "picture.png").exists()


def test_rendering_writes_the_world_the_site_shows(bolid, tmp_path):
    folder = tmp_path / "world"
    done = bolid("bodyworld", "render", str(folder), "--identities", "1", "--photos", "2", "--seed", "7")
    assert done.exit_code == 0, done.output
    assert json.loads((folder / "world.json").read_text("utf-8"))["galleries"]


def test_forgetting_asks_first(tmp_path):
    asked = CliRunner().invoke(main, ["forget", "anna"], input="n\n", env={"BOLID_DATA_DIR": str(tmp_path)})
    assert asked.exit_code == 1
    assert forgotten_identities(tmp_path) == frozenset()


def test_forgetting_says_what_was_removed(bolid, tmp_path):
    row = {
        "identity": "anna",
        "name": "Anna",
        "page_url": "https://gallery.example/anna/",
        "stated_photos": 1,
        "listed_photos": 1,
        "status": "listed",
        "refreshed_at": None,
    }
    TableStore(tmp_path / "data").append("identity_catalogue", [row])
    done = bolid("forget", "anna", "--yes")
    assert done.exit_code == 0, done.output
    assert "removed 0 photos and 1 rows of anna" in done.output
