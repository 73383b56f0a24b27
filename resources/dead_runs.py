"""A run holds its data store while it lasts, and that lock is how a run that was killed is recognised.

A killed process can neither report its run as failed nor give back its slot of pool `gpu`, and the next run would wait
for the slot for ever. But its lock on the data store is free, however the process ended. So a run notes in a tag which
store it holds, and whoever finds that the run no longer holds it closes the run: the next run, or Dagster's daemon
through `bolid_pipeline.orchestration.run_launcher`.

With Dagster's in-process executor, a run opens its resources before it asks for its first pool slot. The next run
therefore closes the killed one in time to get the slot.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from bolid_pipeline.storage.store_lock import hold_store, living_holder
from resources.run_history import OF_STORE

RUN_IS_GONE = "The process of this run is gone: it was killed, or the machine went down."
HOLDS_STORE = "bolid/holds_store"
"""Tag of a run: the data folder or address that it holds, or `_RELEASED`."""
_RELEASED = "released"


@contextmanager
def hold_store_for_run(context: dg.InitResourceContext, data_dir: str) -> Iterator[None]:
    """Hold the data store for the run that the context belongs to, and close the runs that died.

    Raises:
        StoreLocked: another process holds it.
    """
    run, instance = context.run, context.instance
    if run is None or instance is None:
        with hold_store(data_dir, "a process without a run"):
            yield
        return
    with hold_store(data_dir, _holder(run.run_id)):
        instance.add_run_tags(run.run_id, {HOLDS_STORE: data_dir, OF_STORE: data_dir})
        try:
            close_dead_runs(instance, run.run_id, data_dir)
            yield
        finally:
            # Before the lock is free: who sees it free and the tag still there may conclude that the run was killed.
            instance.add_run_tags(run.run_id, {HOLDS_STORE: _RELEASED})


def close_dead_runs(instance: dg.DagsterInstance, run_id: str, data_dir: str) -> None:
    """Report the runs that were killed as failed and free their pool slots.

    Args:
        instance: whose history is looked through.
        run_id: the run that asks, which holds `data_dir`: every other run that claims to hold it is dead.
        data_dir: the run's data store.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        if run.run_id != run_id and (_store_of(run) == data_dir or is_dead(instance, run)):
            instance.report_run_failed(run, RUN_IS_GONE)
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def is_dead(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return whether the process of a started run has ended before it could release its data store.

    For a store on object storage this waits until the lock is renewed, or has not been for long enough.
    """
    held = _store_of(run)
    if held is None or living_holder(held) == _holder(run.run_id):
        return False
    # The run may have ended properly between the two looks; then it has changed its tag.
    now = instance.get_run_by_id(run.run_id)
    return now is not None and _store_of(now) == held


def _holder(run_id: str) -> str:
    return f"run {run_id}"


def _store_of(run: dg.DagsterRun) -> str | None:
    """Return the store that the run says it holds."""
    held = run.tags.get(HOLDS_STORE, _RELEASED)
    return None if held == _RELEASED else held
