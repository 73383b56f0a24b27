"""Runs a job in this process without its log, and tells the caller of each asset as it is done."""

import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import dagster as dg

from bolid_pipeline.errors import BolidError, NotEnoughData

_SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

Metadata = Mapping[str, Any]


def run_quietly(job: dg.JobDefinition, on_asset: Callable[[str, Metadata], None]) -> None:
    """Run a job; its history goes where `dagster job execute` writes it.

    Args:
        job: the job.
        on_asset: called with the name and the metadata of each asset when it is done.

    Raises:
        BolidError: what a step raised; NotEnoughData with the words of a check that failed.
        KeyboardInterrupt: by Ctrl-C.
    """
    run_id = str(uuid.uuid4())
    problems: list[str] = []

    def listen(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            return
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            done = event.step_materialization_data.materialization
            on_asset(
                done.asset_key.to_user_string(), {name: value.value for name, value in done.metadata.items()}
            )
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed:
                problems.append(check.description or f"the check {check.check_name} failed")

    with _history() as instance:
        instance.add_event_listener(run_id, listen)
        try:
            job.execute_in_process(instance=instance, run_id=run_id, run_config=_SILENT)
        except dg.DagsterExecutionInterruptedError:
            raise KeyboardInterrupt from None
        except Exception as error:
            if problems:
                raise NotEnoughData("; ".join(problems)) from error
            raise _own_error(error) from error


def hide_progress_bars() -> None:
    """Let the stages show no bars; to be called before they are imported."""
    os.environ.setdefault("TQDM_DISABLE", "1")


def _own_error(error: BaseException) -> BaseException:
    """The BolidError that Dagster has wrapped in an error of its own; the error itself where there is none."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, BolidError):
        cause = cause.__cause__
    return cause or error


def _history() -> AbstractContextManager[dg.DagsterInstance]:
    """The instance that Dagster's own commands use here; without a dagster.yaml, one that is forgotten afterwards."""
    if os.environ.get("DAGSTER_HOME"):
        return dg.DagsterInstance.get()
    if Path("dagster.yaml").is_file():
        return dg.DagsterInstance.from_config(str(Path.cwd()))
    return dg.DagsterInstance.ephemeral()
