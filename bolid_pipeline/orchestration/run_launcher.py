"""Starts the runs of the web page and of the schedule as Dagster's default does, and knows which runs are dead.

Dagster's queue holds back new runs while one is in progress, and the default launcher cannot tell that a run was
killed: the queue would wait for it for ever. This one can, by the lock that each run holds (`executor.py`), so
that run monitoring closes it, whether it was started here or by `dagster job execute`.
"""

from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.dagster_run import DagsterRun

from bolid_pipeline.orchestration.executor import RUN_IS_GONE, is_dead


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher with a check on the processes of its runs."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes: this is what the class is for."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Failed if the run's process has ended without a word."""
        if is_dead(self._instance, run.run_id):
            return CheckRunHealthResult(WorkerStatus.FAILED, RUN_IS_GONE)
        return CheckRunHealthResult(WorkerStatus.RUNNING)
