"""`bolid forget` and `bolid block` say what they did, what is left, and where."""

import os
import shutil
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bolid_pipeline.cli import main
from bolid_pipeline.scraping.forgotten import forgotten_identities
from bolid_pipeline.storage.tables import TableStore


@pytest.fixture
def bolid(tmp_path, monkeypatch):
    """Runs `bolid ARGUMENTS` in an empty folder, on the photos of anna and zoe."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for person, count in (("anna", 3), ("zoe", 1)):
        (tmp_path / "photos" / person).mkdir(parents=True)
        for number in range(count):
            pixels = np.random.default_rng([count, number]).integers(0, 255, (40, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / person / f"{number}.png")
    variables = {
        "BOLID_DATA_DIR": str(tmp_path / "data"),
        "BOLID_SOURCE_URL": (tmp_path / "photos").as_uri(),
    }
    return lambda *arguments: CliRunner().invoke(main, arguments, env=variables)


def crawled(tmp_path):
    return set(TableStore(tmp_path / "data").read("raw_photos")["identity"].to_pylist())


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
        "source": "https://gallery.example",
        "failed_at": None,
    }
    TableStore(tmp_path / "data").append("identity_catalogue", [row])
    done = bolid("forget", "anna", "--yes")
    assert done.exit_code == 0, done.output
    assert "removed 0 photos and 1 rows of anna" in done.output


def test_a_forgotten_person_is_not_crawled_again(bolid):
    options = ("--min-photos", "1")
    bolid("crawl", *options)
    bolid("forget", "anna", "--yes")
    said = bolid("crawl", *options)
    assert "1 known" in said.output
    planned = bolid("crawl", "--dry-run", *options)
    assert "anna" not in planned.output


def test_forgetting_says_what_is_left_elsewhere(bolid, tmp_path):
    bolid("crawl", "--min-photos", "1")
    (tmp_path / "data" / "checkpoints" / ".demo.training-0123").mkdir(parents=True)
    said = bolid("forget", "anna", "--yes").output
    assert "removed 3 photos" in said
    assert "deleted, because they hold or may show anna: checkpoints/.demo.training-0123" in said
    assert "No run history was looked through" in said
    assert f"{tmp_path}/photos/anna still holds your photos; crawls leave it out" in said


def test_somebody_is_blocked_before_ever_being_crawled(bolid, tmp_path):
    said = bolid("block", "Zoe", "王芳", "a\nb")
    assert said.exit_code == 0, said.output
    assert "never crawled: Zoe, 王芳, a%0Ab" in said.output
    assert f"To allow somebody again, delete the line in {tmp_path}/data/forgotten.txt." in said.output
    bolid("crawl", "--min-photos", "1")
    assert crawled(tmp_path) == {"anna"}
    (tmp_path / "data" / "forgotten.txt").write_text("王芳\n", "utf-8")
    bolid("crawl", "--min-photos", "1")
    assert crawled(tmp_path) == {"anna", "zoe"}


def test_blocking_somebody_who_is_there_says_how_to_remove_them(bolid, tmp_path):
    bolid("crawl", "--min-photos", "1")
    said = bolid("block", "ANNA").output
    assert "anna was crawled before: `bolid forget anna` removes what is there" in said
    assert crawled(tmp_path) == {"anna", "zoe"}


def test_an_empty_name_is_refused_and_nobody_is_blocked(bolid, tmp_path):
    said = bolid("block", "anna", " ")
    assert said.exit_code == 1
    assert "one of the names is empty" in said.output
    assert forgotten_identities(tmp_path / "data") == frozenset()


def test_what_a_name_holds_reaches_no_terminal_raw(bolid):
    said = bolid("forget", "bo\x1b]0;pwn\x07ris\nremoved 3 photos", "--yes")
    assert said.exit_code == 1
    assert "\x1b" not in said.output
    assert len(said.output.strip().splitlines()) == 1


WARNS = r"""
import logging
from bolid_pipeline.cli import main
main(["settings", "--help"], standalone_mode=False)
try:
    raise ValueError("a \x1b]0;pwn\x07 value")
except ValueError:
    logging.getLogger("bolid_pipeline.scraping").warning("%s is left out", "bo\x1bris\nforged", exc_info=True)
"""


def test_a_log_line_of_a_command_is_shown_and_not_obeyed():
    said = subprocess.run(
        [sys.executable, "-c", WARNS], capture_output=True, text=True, check=True
    ).stderr.splitlines()
    assert said[0] == "bo\\x1bris\\nforged is left out"
    assert said[1] == "Traceback (most recent call last):"
    assert said[-1] == "ValueError: a \\x1b]0;pwn\\x07 value"


AWKWARD = {
    unicodedata.normalize("NFD", "zoë"): "zoë",
    "bo\x1b]0;pwn\x07ris": "bo%1B]0;pwn%07ris",
    "an\nna": "an%0Ana",
    os.fsdecode(b"fran\xe7ois"): "fran%E7ois",
    "50%25": "50%2525",
}


@pytest.fixture
def awkward(bolid, tmp_path):
    """The same, with one photo of each person of an awkward name in place of anna and zoe."""
    shutil.rmtree(tmp_path / "photos")
    for seed, folder in enumerate(AWKWARD):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (40, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / folder / "a.png")
    return bolid


def test_people_of_awkward_folder_names_are_crawled_chosen_and_forgotten(awkward, tmp_path):
    said = awkward("crawl", "--min-photos", "1", "--dry-run")
    assert "\x1b" not in said.output
    assert all(f"{identity}: 1 listed" in said.output for identity in AWKWARD.values())
    awkward("crawl", "--min-photos", "1", "--only", "zoë", "--only", "an\nna")
    assert crawled(tmp_path) == {"zoë", "an%0Ana"}
    awkward("crawl", "--min-photos", "1")
    assert crawled(tmp_path) == set(AWKWARD.values())
    for typed in (*AWKWARD.values(), "an\nna"):
        said = awkward("forget", typed, "--yes")
        assert said.exit_code == 0, said.output
        assert "still holds your photos" in said.output
        assert "\x1b" not in said.output
    awkward("crawl", "--min-photos", "1")
    assert crawled(tmp_path) == set()
