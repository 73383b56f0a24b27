"""Starts the runs of the web page and of the schedule as Dagster's default does, and knows which runs are dead.

Dagster's queue holds back new runs while one is in progress, and the default launcher cannot tell that a run was
killed: the queue would wait for it for ever. This one asks the lock that each run holds (`resources.dead_runs`), so
that run monitoring closes a dead run, whether it was started here or by `dagster job execute`.

It imports Dagster's private modules, as `sqlite_history` does and nothing else: a launcher has to answer a health check
with these two types, and Dagster exports neither of them.
"""

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

from resources.dead_runs import RUN_IS_GONE, is_dead


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's default launcher with a check on the processes of its runs."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Always True."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return FAILED if the run's process ended without reporting it."""
        if is_dead(self._instance, run):
            return CheckRunHealthResult(WorkerStatus.FAILED, RUN_IS_GONE)
        return CheckRunHealthResult(WorkerStatus.RUNNING)
