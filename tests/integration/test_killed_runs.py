"""A run that is killed while it holds the GPU pool must not block the next one."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

REPOSITORY = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(600)

DAGSTER = Path(sys.executable).with_name("dagster")
DEFINITIONS = """
import pathlib, time
import dagster as dg
from resources.compute_engine import one_process_executor

@dg.asset(pool="gpu")
def model_step():
    started = pathlib.Path("started")
    if not started.exists():
        started.touch()
        time.sleep(300)

defs = dg.Definitions([model_step], jobs=[dg.define_asset_job("all_steps")], executor=one_process_executor)
"""


@pytest.fixture
def project(tmp_path):
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    (tmp_path / "killed_run_definitions.py").write_text(DEFINITIONS)
    return tmp_path


def execute_job(project):
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    return subprocess.Popen(
        [DAGSTER, "job", "execute", "-m", "killed_run_definitions", "-j", "all_steps"],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def runs_by_age(project, monkeypatch):
    """The run history in the project folder, as the web page shows it afterwards."""
    monkeypatch.chdir(project)
    with dg.DagsterInstance.from_config(str(project)) as instance:
        return [run.status.value for run in reversed(instance.get_runs())]


def test_the_next_run_takes_over_what_a_killed_one_held(project, monkeypatch):
    killed = execute_job(project)
    deadline = time.monotonic() + 250
    while not (project / "started").exists():
        assert killed.poll() is None, killed.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    output, _ = execute_job(project).communicate(timeout=250)
    assert "RUN_SUCCESS" in output
    assert runs_by_age(project, monkeypatch) == ["FAILURE", "SUCCESS"]
