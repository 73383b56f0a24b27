"""`bolid quickstart`: what it says and does before and between the steps."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from bolid_pipeline.cli import main
from bolid_pipeline.scraping.config import BODYWORLD_URL
from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.store_lock import hold_store
from bolid_pipeline.storage.tables import TableStore
from resources.environment import current_deployment
from resources.own_photos import environment_for

PHOTO = min((Path(__file__).parents[2] / "integration" / "people").glob("*.jpg"))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The user's folder, with a photo of one person."""
    monkeypatch.chdir(tmp_path)
    for name in ("BOLID_SETTINGS", "BOLID_DATA_DIR", "BOLID_DEPLOYMENT", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "photos" / "anna").mkdir(parents=True)
    shutil.copy(PHOTO, tmp_path / "photos" / "anna")
    return tmp_path


def quickstart(*arguments):
    return CliRunner().invoke(main, ["quickstart", *arguments])


def test_a_folder_without_people_says_how_to_lay_it_out(home):
    shutil.rmtree(home / "photos" / "anna")
    shutil.copy(PHOTO, home / "photos")
    failed = quickstart("photos")
    assert failed.exit_code == 1
    assert failed.output == (
        "Error: photos holds no folders: make one for each person, such as photos/anna, and put the photos in\n"
        "Next: put it right, then uv run bolid quickstart photos; it goes on from here.\n"
    )


def test_while_another_run_writes_it_says_so_in_one_line(home):
    with hold_store(home / "own_data", "run 42"):
        failed = quickstart("photos")
    assert failed.exit_code == 1
    *_, error, next_step = failed.output.splitlines()
    assert error.startswith("Error: ")
    assert "run 42" in error
    assert next_step.startswith("Next: ")
    assert "Traceback" not in failed.output


def test_the_demos_data_folder_is_refused_before_anything_is_read(home):
    drawn = {"identity": "drawn", "name": "drawn", "status": "listed", "source": BODYWORLD_URL}
    blank = dict.fromkeys(SCHEMAS["identity_catalogue"].columns.names)
    TableStore(home / "data").append("identity_catalogue", [blank | drawn])
    failed = CliRunner().invoke(main, ["quickstart", "photos"], env={"BOLID_DATA_DIR": "data"})
    assert failed.exit_code == 1
    assert "1 people of the demo" in failed.output
    assert "another BOLID_DATA_DIR" in failed.output
    assert TableStore(home / "data").read("identity_catalogue")["identity"].to_pylist() == ["drawn"]


def test_the_settings_are_those_of_few_photos_and_lie_beside_the_data(home):
    environment = environment_for(home / "photos", None, {})
    deployment = current_deployment(environment)
    assert environment["BOLID_SETTINGS"] == str(home / "own_data" / "demo.toml")
    assert deployment.data_dir == home / "own_data"
    assert deployment.source_url == (home / "photos").as_uri()
    assert (deployment.crawl.min_photos, deployment.curation.min_photos_per_identity) == (1, 5)
    assert deployment.curation.min_side_px == 512


def test_a_setting_that_the_user_changed_in_the_file_stays(home):
    environment_for(home / "photos", None, {})
    file = home / "own_data" / "demo.toml"
    file.write_text(file.read_text().replace("min_side_px = 512", "min_side_px = 300"))
    again = current_deployment(environment_for(home / "photos", None, {}))
    assert again.curation.min_side_px == 300


def test_steps_are_kept_for_the_next_run_and_another_folder_takes_the_same_data_folder(home):
    environment_for(home / "photos", 7, {})
    other = current_deployment(environment_for(home / "others", None, {}))
    assert other.training.steps == 7
    assert other.source_url == (home / "others").as_uri()
    assert other.data_dir == home / "own_data"


def test_published_weights_take_fewer_steps_and_a_file_of_their_own(home):
    variables = {
        "BOLID_DEPLOYMENT": "theplace_sd15",
        "BOLID_DATA_DIR": "mine",
        "BOLID_WEIGHT_PINS": "pins.json",
    }
    environment = environment_for(home / "photos", None, variables)
    later = current_deployment({"BOLID_SETTINGS": environment["BOLID_SETTINGS"]})
    assert environment["BOLID_SETTINGS"] == str(home / "mine" / "theplace_sd15.toml")
    assert later.training.steps == 4000
    assert later.weight_pins == home / "pins.json"
    assert later.source_url == (home / "photos").as_uri()
    assert later.curation.min_photos_per_identity == 5


def test_a_settings_file_of_the_users_own_holds_and_is_not_written(home):
    mine = home / "mine.toml"
    mine.write_text('deployment = "demo"\ndata_dir = "elsewhere"\n[curation]\nmin_side_px = 111\n')
    before = mine.read_text()
    deployment = current_deployment(
        environment_for(
            home / "photos", 3, {"BOLID_SETTINGS": str(mine), "BOLID_TRAINING": '{"batch_size": 2}'}
        )
    )
    assert mine.read_text() == before
    assert deployment.curation.min_side_px == 111
    assert deployment.data_dir == home / "elsewhere"
    assert (deployment.training.steps, deployment.training.batch_size) == (3, 2)
    assert deployment.source_url == (home / "photos").as_uri()
