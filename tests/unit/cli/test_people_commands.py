"""`bolid forget` and `bolid block` say what they did, what is left, and where."""

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
