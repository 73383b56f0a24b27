"""Runs that are killed, and runs that meet: the next one goes on, and two never write at once."""

import os
import shutil
import signal
from pathlib import Path

import dagster as dg
import pytest
from commands import start_command

REPOSITORY = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def project(tmp_path):
    configuration = (REPOSITORY / "dagster.yaml").read_text()
    assert "poll_interval_seconds: 30" in configuration
    (tmp_path / "dagster.yaml").write_text(
        configuration.replace("poll_interval_seconds: 30", "poll_interval_seconds: 1")
        + "code_servers: {local_startup_timeout: 600}\n"  # a busy machine takes its time
    )
    shutil.copy(REPOSITORY / "tests" / "support" / "meeting_runs.py", tmp_path)
    return tmp_path


def execute(project):
    return start_command(project, "dagster", "job", "execute", "-m", "meeting_runs", "-j", "all_steps")


def launch(project: Path, job: str) -> None:
    """Put a run into the queue."""
    home = {"DAGSTER_HOME": str(project)}
    with start_command(
        project, "dagster", "job", "launch", "-m", "meeting_runs", "-j", job, **home
    ) as launched:
        assert launched.wait() == 0, launched.output


def daemon(project):
    return start_command(project, "dagster-daemon", "run", "-m", "meeting_runs", DAGSTER_HOME=str(project))


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
        run.wait_for((project / "started").exists)
        run.kill()


@pytest.mark.usefixtures("killed_run")
def test_the_next_run_of_the_command_line_takes_over_what_a_killed_one_held(project, statuses):
    with execute(project) as run:
        assert run.wait() == 0, run.output
    assert "ended without giving the store back: it was killed" in run.output
    assert statuses() == ["FAILURE", "SUCCESS"]


@pytest.mark.usefixtures("killed_run")
def test_the_queue_goes_on_after_a_killed_run(project, statuses):
    launch(project, "all_steps")
    assert statuses() == ["STARTED", "QUEUED"]
    with daemon(project) as running:
        running.wait_for(lambda: statuses() == ["FAILURE", "SUCCESS"])


def test_a_nightly_run_that_was_killed_is_started_again(project, statuses):
    started = project / "started"
    with daemon(project) as running:
        launch(project, "nightly")
        running.wait_for(lambda: started.exists() and started.read_text() != "")
        os.kill(int(started.read_text()), signal.SIGKILL)
        running.wait_for(lambda: statuses() == ["FAILURE", "SUCCESS"])


def test_of_two_runs_at_once_the_second_names_the_first_and_fails(project, statuses):
    with execute(project) as first:
        first.wait_for((project / "started").exists)
        with execute(project) as second:
            assert second.wait() == 1
        assert "data is being written to by run " in second.output
        assert f"(process {first.pid} on " in second.output
        (project / "may_end").touch()
        assert first.wait() == 0
    assert statuses() == ["SUCCESS", "FAILURE"]
