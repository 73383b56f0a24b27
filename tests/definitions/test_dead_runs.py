"""A run whose process was killed is told from one that works and from one that ended properly."""

import subprocess
import sys

import dagster as dg
import pytest

from bolid_pipeline.storage.store_lock import hold_store
from resources.dead_runs import HOLDS_STORE, is_dead
from resources.table_store import DataStore

HOLDER = """
import sys, time
from bolid_pipeline.storage.store_lock import hold_store
with hold_store(sys.argv[1], sys.argv[2]):
    print("held", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def started_run(instance, store):
    """A run in the history that says it works on a store."""
    tags = {HOLDS_STORE: str(store)}
    return instance.add_run(dg.DagsterRun(job_name="refresh", status=dg.DagsterRunStatus.STARTED, tags=tags))


@pytest.fixture
def working_run(instance, tmp_path):
    """A run and the process that holds its store."""
    run = started_run(instance, tmp_path / "data")
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "data"), f"run {run.run_id}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield run, process
        process.kill()


def materialize(instance, store, body):
    """Run one step that needs the store; returns the run as the history has it."""

    @dg.asset(required_resource_keys={"store"})
    def step(context: dg.AssetExecutionContext) -> None:
        body(context)

    done = dg.materialize(
        [step], instance=instance, resources={"store": DataStore(data_dir=str(store))}, raise_on_error=False
    )
    return instance.get_run_by_id(done.run_id)


def test_a_run_is_dead_once_its_process_was_killed(instance, working_run):
    run, process = working_run
    assert not is_dead(instance, run)
    process.kill()
    process.wait()
    assert is_dead(instance, run)


def test_a_run_stays_dead_when_another_process_has_taken_its_store(instance, working_run, tmp_path):
    run, process = working_run
    process.kill()
    process.wait()
    with hold_store(tmp_path / "data", "bolid forget"):
        assert is_dead(instance, run)


def test_a_run_that_holds_no_store_yet_is_not_dead(instance):
    run = instance.add_run(dg.DagsterRun(job_name="refresh", status=dg.DagsterRunStatus.STARTED))
    assert not is_dead(instance, run)


def test_a_run_lives_while_its_step_does_and_is_not_dead_afterwards(instance, tmp_path):
    found = []
    done = materialize(
        instance,
        tmp_path,
        lambda context: found.append(is_dead(instance, instance.get_run_by_id(context.run.run_id))),
    )
    assert found == [False]
    assert done.status is dg.DagsterRunStatus.SUCCESS
    assert not is_dead(instance, done)


def test_a_monitor_that_read_the_history_before_a_run_ended_does_not_take_it_for_dead(instance, tmp_path):
    seen = []
    materialize(instance, tmp_path, lambda context: seen.append(instance.get_run_by_id(context.run.run_id)))
    assert seen[0].tags[HOLDS_STORE] == str(tmp_path)
    assert not is_dead(instance, seen[0])


@pytest.mark.parametrize("store", ["data", "of_another_deployment"])
def test_a_run_that_begins_closes_the_dead_ones_and_leaves_the_living(instance, working_run, tmp_path, store):
    living, _ = working_run
    dead = started_run(instance, tmp_path / "left")
    done = materialize(instance, tmp_path / store, lambda _: None)
    status_of = {run.run_id: run.status.value for run in instance.get_runs()}
    assert status_of[living.run_id] == "STARTED"
    if store == "data":
        assert status_of[done.run_id] == "FAILURE"  # the store is taken
    else:
        assert (status_of[done.run_id], status_of[dead.run_id]) == ("SUCCESS", "FAILURE")


def test_a_run_that_claims_the_store_of_the_run_that_holds_it_is_closed(instance, tmp_path):
    dead = started_run(instance, tmp_path)
    materialize(instance, tmp_path, lambda _: None)
    assert instance.get_run_by_id(dead.run_id).status is dg.DagsterRunStatus.FAILURE
