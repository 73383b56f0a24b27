"""A job that runs quietly in this process."""

import os
import signal

import dagster as dg
import pytest

from bolid_pipeline.errors import NotEnoughData, StorageFull
from bolid_pipeline.orchestration.quiet_run import run_quietly


@pytest.fixture(autouse=True)
def _no_history(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


def job_of(*parts):
    assets = [part for part in parts if not isinstance(part, dg.AssetChecksDefinition)]
    checks = [part for part in parts if isinstance(part, dg.AssetChecksDefinition)]
    definitions = dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[dg.define_asset_job("everything", selection=dg.AssetSelection.all())],
        executor=dg.in_process_executor,
    )
    return definitions.resolve_job_def("everything")


@dg.asset
def counted():
    """An asset with metadata."""
    return dg.MaterializeResult(metadata={"num_photos": 3, "page": dg.MetadataValue.path("a/page.html")})


def test_each_asset_is_told_with_its_numbers_and_nothing_is_printed(capfd):
    told = []
    run_quietly(job_of(counted), lambda asset, metadata: told.append((asset, metadata)))
    assert told == [("counted", {"num_photos": 3, "page": "a/page.html"})]
    assert capfd.readouterr() == ("", "")


def test_an_error_of_ours_comes_out_as_it_was_raised(capfd):
    @dg.asset
    def full():
        raise StorageFull("no room for photos: free some and start again")

    with pytest.raises(StorageFull, match=r"^no room for photos: free some and start again$"):
        run_quietly(job_of(full), lambda *_: None)
    assert capfd.readouterr() == ("", "")


def test_an_error_of_ours_while_a_resource_opens_comes_out_too():
    @dg.resource
    def store(_context):
        raise StorageFull("no room")

    @dg.asset(required_resource_keys={"store"})
    def photos():
        pass

    definitions = dg.Definitions(
        assets=[photos], jobs=[dg.define_asset_job("everything")], resources={"store": store}
    )
    with pytest.raises(StorageFull, match=r"^no room$"):
        run_quietly(definitions.resolve_job_def("everything"), lambda *_: None)


def test_a_check_that_fails_says_its_words():
    @dg.asset_check(asset=counted, blocking=True)
    def somebody_is_kept():
        return dg.AssetCheckResult(passed=False, description="0 kept: 5 photos of 1 person, 8 needed")

    with pytest.raises(NotEnoughData, match=r"^0 kept: 5 photos of 1 person, 8 needed$"):
        run_quietly(job_of(counted, somebody_is_kept), lambda *_: None)


def test_another_error_is_not_hidden():
    @dg.asset
    def broken():
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run_quietly(job_of(broken), lambda *_: None)


def test_ctrl_c_is_ctrl_c():
    @dg.asset
    def interrupted():
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_quietly(job_of(interrupted), lambda *_: None)


def test_the_history_lies_where_dagsters_commands_write_it(tmp_path):
    (tmp_path / "dagster.yaml").write_text("storage:\n  sqlite:\n    base_dir: history\n")
    run_quietly(job_of(counted), lambda *_: None)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS]
