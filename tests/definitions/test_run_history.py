"""Forgetting a person in Dagster's run history: runs that name or may show the person go, the others stay."""

import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources.run_history import OF_STORE, RunHistory, open_run_history
from resources.table_store import DataStore

PICTURE = dg.MetadataValue.md("![picture](data:image/jpeg;base64,QUJD)")
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
TOMORROW = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def history():
    """A history in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield RunHistory(instance)


def run(history, *, store="data", log="", printed="", metadata=None):
    """A run that logs, prints and reports; its id."""

    @dg.asset
    def photos(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        context.log.info(log or "nothing to say")
        sys.stdout.write(printed)
        return dg.MaterializeResult(metadata=metadata or {})

    @dg.asset_check(asset=photos)
    def check() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True, metadata={"said": log})

    done = dg.materialize([photos, check], instance=history._instance, tags={OF_STORE: store})
    assert done.success
    return done.run_id


def mentions(home, word):
    files = (path for path in (home / ".dagster").rglob("*") if path.is_file())
    return [path for path in files if word.encode() in path.read_bytes()]


def test_runs_that_name_the_person_are_found(history):
    table = dg.MetadataValue.table([dg.TableRecord({"identity": "anna", "count": 3})])
    about = {
        run(history, log="gallery anna: 403"),
        run(history, metadata={"photos_per_identity": table}),
        run(history, log="boris\nanna: https://x/"),
    }
    run(history, log="gallery annabell: 403; anna_bell, hanna")
    run(history, log="gallery anna: 403", store="other data")
    assert set(history.runs_about("data", "anna", since=None)) == about


def test_awkward_names_are_found_as_well(history):
    for identity in ("王芳", "zoë müller", "bo%1Bris", "a(b", "C:\\x"):
        run_id = run(history, log=f"gallery {identity}: 403")
        assert history.runs_about("data", identity, since=None) == [run_id]
    page = run(history, metadata={"page": "https://x/anna%20bell/"})
    assert history.runs_about("data", "anna bell", since=None) == [page]


def test_runs_that_may_show_the_person_are_those_with_pictures_after_the_first_photo(history):
    shown = run(history, metadata={"sample": PICTURE})
    run(history)
    assert history.runs_about("data", "anna", since=YESTERDAY) == [shown]
    assert history.runs_about("data", "anna", since=TOMORROW) == []
    assert history.runs_about("data", "anna", since=None) == []


def test_nothing_that_names_or_shows_the_person_is_left_and_other_runs_stay(tmp_path, monkeypatch, capfd):
    text = (Path(__file__).parents[2] / "dagster.yaml").read_text("utf-8")
    (tmp_path / "dagster.yaml").write_text(text.partition("concurrency:")[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)

    def mentions(word):
        files = (path for path in (tmp_path / ".dagster").rglob("*") if path.is_file())
        return [path for path in files if word in path.read_bytes()]

    with open_run_history() as history:
        named = run(history, log="gallery anna_x: 403", metadata={"sample": PICTURE})
        with capfd.disabled():  # Dagster captures what would go to the terminal
            printed = run(history, printed="galleries 3/8 anna_x\n")
        other = run(history, log="gallery boris: 403")
        about = history.runs_about("data", "anna_x", since=None)
        assert set(about) == {named, printed}
        history.delete(about)
        assert [record.run_id for record in history._instance.get_runs()] == [other]
    assert mentions(b"anna_x") == mentions(b"QUJD") == []
    (index,) = (tmp_path / ".dagster").rglob("index.db")
    with closing(sqlite3.connect(index)) as events:  # not every build of SQLite overwrites what it deletes
        assert events.execute("PRAGMA freelist_count").fetchone() == (0,)
    assert mentions(b"boris")


def test_without_a_history_there_is_none_and_none_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_run_history() as history:
        assert history is None
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_tagged_with_its_data_folder(history, tmp_path):
    @dg.asset(required_resource_keys={"store"})
    def step() -> None:
        pass

    store = DataStore(data_dir=str(tmp_path / "data"))
    done = dg.materialize([step], instance=history._instance, resources={"store": store})
    (found,) = history._instance.get_runs(dg.RunsFilter(tags={OF_STORE: str(tmp_path / "data")}))
    assert found.run_id == done.run_id
