"""Runs that are killed, and runs that meet: the next one goes on, and two never write at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from bolid_pipeline.definitions import nightly_dataset_refresh

REPOSITORY = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DAGSTER = Path(sys.executable).with_name("dagster")
DAEMON = Path(sys.executable).with_name("dagster-daemon")
DEFINITIONS = f"""
import os, pathlib, time
import dagster as dg
from resources.table_store import DataStore

@dg.asset(pool="gpu")
def model_step(store: DataStore):
    started = pathlib.Path("started")
    if not started.exists():
        started.write_text(str(os.getpid()))
        while not pathlib.Path("may_end").exists():
            time.sleep(0.05)

defs = dg.Definitions(
    [model_step],
    jobs=[
        dg.define_asset_job("all_steps"),
        dg.define_asset_job("nightly", tags={dict(nightly_dataset_refresh.tags)!r}),
    ],
    executor=dg.in_process_executor,
    resources={{"store": DataStore(data_dir="data")}},
)
"""


@pytest.fixture
def project(tmp_path):
    configuration = (REPOSITORY / "dagster.yaml").read_text()
    assert "poll_interval_seconds: 30" in configuration
    (tmp_path / "dagster.yaml").write_text(
        configuration.replace("poll_interval_seconds: 30", "poll_interval_seconds: 1")
        + "code_servers: {local_startup_timeout: 600}\n"  # a busy machine takes its time
    )
    (tmp_path / "meeting_runs.py").write_text(DEFINITIONS)
    return tmp_path


@contextmanager
def process(project, *command, **variables):
    """A process in the project folder; killed at the end if it still runs."""
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"} | variables
    environment["DAGSTER_GRPC_TIMEOUT_SECONDS"] = "600"  # as the code server's
    with subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as started:
        yield started
        started.kill()


def execute(project):
    return process(project, DAGSTER, "job", "execute", "-m", "meeting_runs", "-j", "all_steps")


def wait_for(condition: Callable[[], bool], running: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 400
    while not condition():
        assert running.poll() is None, running.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def statuses(project, monkeypatch):
    """The run history in the project folder, oldest first, as the web page shows it."""
    monkeypatch.chdir(project)
    with dg.DagsterInstance.from_config(str(project)) as instance:
        yield lambda: [run.status.value for run in reversed(instance.get_runs())]


@pytest.fixture
def killed_run(project):
    """A run that was killed while it held the store and the pool `gpu`."""
    with execute(project) as run:
        wait_for((project / "started").exists, run)
        run.send_signal(signal.SIGKILL)


@pytest.mark.usefixtures("killed_run")
def test_the_next_run_of_the_command_line_takes_over_what_a_killed_one_held(project, statuses):
    with execute(project) as run:
        output, _ = run.communicate(timeout=400)
    assert run.returncode == 0, output
    assert "ended without giving the store back: it was killed" in output
    assert statuses() == ["FAILURE", "SUCCESS"]


@pytest.mark.usefixtures("killed_run")
def test_the_queue_goes_on_after_a_killed_run(project, statuses):
    launch = [DAGSTER, "job", "launch", "-m", "meeting_runs", "-j", "all_steps"]
    home = {"DAGSTER_HOME": str(project)}
    with process(project, *launch, **home) as launched:
        output, _ = launched.communicate(timeout=400)
    assert launched.returncode == 0, output
    assert statuses() == ["STARTED", "QUEUED"]
    with process(project, DAEMON, "run", "-m", "meeting_runs", **home) as daemon:
        wait_for(lambda: statuses() == ["FAILURE", "SUCCESS"], daemon)


def test_a_nightly_run_that_was_killed_is_started_again(project, statuses):
    home = {"DAGSTER_HOME": str(project)}
    with process(project, DAEMON, "run", "-m", "meeting_runs", **home) as daemon:
        launch = [DAGSTER, "job", "launch", "-m", "meeting_runs", "-j", "nightly"]
        with process(project, *launch, **home) as launched:
            output, _ = launched.communicate(timeout=400)
        assert launched.returncode == 0, output
        wait_for(lambda: (project / "started").exists() and (project / "started").read_text() != "", daemon)
        os.kill(int((project / "started").read_text()), signal.SIGKILL)
        wait_for(lambda: statuses() == ["FAILURE", "SUCCESS"], daemon)


def test_of_two_runs_at_once_the_second_names_the_first_and_fails(project, statuses):
    with execute(project) as first:
        wait_for((project / "started").exists, first)
        with execute(project) as second:
            output, _ = second.communicate(timeout=400)
        assert second.returncode == 1
        assert "data is being written to by run " in output
        assert f"(process {first.pid} on " in output
        (project / "may_end").touch()
        first.communicate(timeout=400)
    assert first.returncode == 0
    assert statuses() == ["SUCCESS", "FAILURE"]
