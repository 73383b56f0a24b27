"""The history of a checkout, and the one kind of folder in which Dagster cannot keep it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.orchestration.sqlite_history import sqlite_storage

REPOSITORY = Path(__file__).parents[2]


Checkout = Callable[[str], Path]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """Makes a folder with the repository's dagster.yaml the current one; Dagster is installed elsewhere."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(REPOSITORY / "dagster.yaml", folder)
        monkeypatch.chdir(folder)
        return folder

    return make


@pytest.mark.parametrize("name", ["project", "a 100% b", "a#b", "with blanks"])
def test_the_history_is_kept_from_one_command_to_the_next(checkout: Checkout, name: str) -> None:
    folder = checkout(name)
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        run = dg.DagsterRun("a_job", run_id="00000000-0000-0000-0000-000000000001")
        instance.add_run(run)
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert [each.run_id for each in instance.get_runs()] == [run.run_id]
    assert any((folder / ".dagster" / "history").rglob("*.db"))


@pytest.mark.parametrize("folder", ["a 100% b", "50%", "%2F"])
def test_below_a_folder_with_a_percent_sign_one_word_says_what_to_do(
    checkout: Checkout, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = (
        f"/home/me/{folder}/.venv/lib/python3.11/site-packages/dagster/_core/storage/sqlite_storage.py"
    )
    monkeypatch.setattr(sqlite_storage, "__file__", installed)
    with (
        pytest.raises(
            ConfigurationError, match="cannot work below a folder with % in its name: rename"
        ) as refused,
        dg.DagsterInstance.from_config(str(checkout("project"))) as instance,
    ):
        instance.get_runs()
    assert f"/home/me/{folder}/.venv" in str(refused.value)


@pytest.mark.parametrize("name", ["%2F", "50%25", "what?"])
def test_a_history_that_would_be_written_elsewhere_is_refused(checkout: Checkout, name: str) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"Dagster cannot keep its history in .*: rename the folder"),
        dg.DagsterInstance.from_config(str(checkout(name))) as instance,
    ):
        instance.get_runs()
