"""One run's steps in one process, and no pool slot lost to a killed run.

All steps of a run share its process, so that the GPU stack is imported once and not ten times (about 30 s each).
A killed process can neither give back its slot of pool `gpu` nor report its run as failed, and the next run would wait
for the slot for ever. So each run holds a lock of the operating system, which is free again as soon as its process
ends, however that happened; a run that starts reports those whose lock is free as failed and takes their slots back.
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from filelock import FileLock, Timeout

RUN_IS_GONE = "The process of this run is gone: it was killed, or the machine went down."


class OneProcessExecutor(dg.Executor):
    """Dagster's in-process executor, under a lock that tells the living runs from the dead."""

    def __init__(self, in_process: dg.Executor) -> None:
        self._in_process = in_process

    @property
    def retries(self) -> RetryMode:
        """As the in-process executor's."""
        return self._in_process.retries

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """Run all steps in this process, after the runs that died have been closed."""
        locks = _lock_folder(plan_context.instance)
        with FileLock(locks / f"{plan_context.run_id}.lock"):
            close_dead_runs(plan_context.instance)
            yield from self._in_process.execute(plan_context, execution_plan)
        (locks / f"{plan_context.run_id}.lock").unlink(missing_ok=True)


@dg.executor(name="one_process")
def one_process_executor(_: dg.InitExecutorContext) -> dg.Executor:
    """All steps of a run in one process."""
    return OneProcessExecutor(InProcessExecutor(retries=RetryMode.ENABLED))


def close_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Report the runs whose process is gone as failed and free their pool slots; returns their ids."""
    unfinished = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    dead = [run for run in unfinished if is_dead(instance, run.run_id)]
    for run in dead:
        instance.report_run_failed(run, RUN_IS_GONE)
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        (_lock_folder(instance) / f"{run.run_id}.lock").unlink(missing_ok=True)
    return [run.run_id for run in dead]


def is_dead(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether the run has begun under the executor above on this machine and nobody holds its lock any more."""
    lock = _lock_folder(instance) / f"{run_id}.lock"
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return True
    except Timeout:
        return False


def _lock_folder(instance: dg.DagsterInstance) -> Path:
    folder = Path(instance.storage_directory()).parent / "run_locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
