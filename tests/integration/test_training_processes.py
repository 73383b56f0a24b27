"""A training on several devices, as the asset starts it in a Dagster run: what it reports, and how it ends."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from random_latents import store_random_latents

from bolid_pipeline.training import checkpoint
from resources.environment import current_deployment
from resources.model_hub import model_hub_of

REPOSITORY = Path(__file__).parents[2]
# A dozen processes import torch, on a machine that may be busy.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SETTINGS: dict[str, Any] = {
    "steps": 2,
    "batch_size": 4,
    "prior": None,
    "body": {"max_views": 2, "grid": 8, "width": 32, "c_body_dim": 12},
}
BIN = Path(sys.executable).parent
MATERIALIZE = [BIN / "dagster", "asset", "materialize", "-m", "bolid_pipeline.definitions"]
PATIENCE_SECONDS = 800


@pytest.fixture
def project(tmp_path):
    """A folder with the instance's settings, and small random latents of the embedded base model, with captions."""
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    store_random_latents(tmp_path / "data", model_hub_of(current_deployment({})).latent_models())
    return tmp_path


@contextmanager
def process(project: Path, *command: str | Path, **settings: Any) -> Iterator["subprocess.Popen[str]"]:
    """A process in the project folder with settings of the training; killed at the end if it still runs."""
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    environment |= {
        "BOLID_DATA_DIR": str(project / "data"),
        "BOLID_TRAINING": json.dumps(SETTINGS | settings),
        "OMP_NUM_THREADS": "1",
    }
    with (
        (project / f"{len(list(project.glob('*.log')))}.log").open("w+") as log,
        subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log, text=True) as started,
    ):
        try:
            yield started
        finally:
            started.kill()


def materialize(project: Path, *, launchpad: dict[str, Any] | None = None, **settings: Any):
    config = json.dumps({"ops": {"bolid_checkpoint": {"config": launchpad or {}}}})
    return process(project, *MATERIALIZE, "--select", "bolid_checkpoint", "--config-json", config, **settings)


def wait_for(condition: Callable[[], bool], running: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


def said(project: Path) -> str:
    return "".join(path.read_text() for path in sorted(project.glob("*.log")))


def trainers_of(project: Path) -> list[int]:
    """The processes that train for this project, by what the system knows of them."""
    mark = f"BOLID_DATA_DIR={project / 'data'}".encode()
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"bolid_pipeline.orchestration.training_process" in command and mark in environment.split(b"\0"):
            found.append(int(folder.name))
    return found


@pytest.fixture
def events(project, monkeypatch):
    """The events of the only run."""
    monkeypatch.chdir(project)
    with dg.DagsterInstance.from_config(str(project)) as instance:
        yield lambda: instance.all_logs(instance.get_runs()[0].run_id)


@pytest.mark.parametrize("is_sharded", [False, True])
def test_two_devices_train_in_processes_that_report_to_the_run(project, events, is_sharded):
    hardware = {"devices": 2, "shard_frozen_weights": is_sharded}
    with materialize(project, launchpad={"hardware": hardware, "seed": 7}) as run:
        assert run.wait(PATIENCE_SECONDS) == 0, said(project)
    folder = project / "data" / "checkpoints" / "demo"
    trained = checkpoint.read_config(folder)
    assert (trained.hardware.devices, trained.hardware.shard_frozen_weights) == (2, is_sharded)
    assert trained.seed == 7
    assert (folder / "body_adapter.safetensors").is_file()
    assert [path.name for path in folder.parent.iterdir()] == ["demo"]
    (made,) = [event.asset_materialization for event in events() if event.asset_materialization]
    reported = {name: value.value for name, value in made.metadata.items()}
    assert (reported["num_processes"], reported["backend"]) == (2, "gloo")
    assert (reported["num_computed"], reported["steps"]) == (1, 2)
    messages = [event.user_message for event in events()]
    assert messages.count("training: step 2 of 2") == 1
    assert trainers_of(project) == []


def test_two_machines_of_one_device_train_together(project):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PET_MASTER_PORT", port)
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", "1"]
        second = [
            *torchrun,
            "--master-addr",
            "127.0.0.1",
            "-m",
            "bolid_pipeline.orchestration.training_process",
        ]
        with (
            process(project, *second, hardware={"num_nodes": 2}) as other,
            materialize(project, hardware={"num_nodes": 2}) as run,
        ):
            assert run.wait(PATIENCE_SECONDS) == 0, said(project)
            assert other.wait(PATIENCE_SECONDS) == 0, said(project)
    assert checkpoint.read_metrics(project / "data" / "checkpoints" / "demo")["steps"] == 2


def test_a_failing_training_fails_the_asset_with_its_message(project, events):
    # Only the trainers make the body encoder, which refuses this number of tokens.
    body = {**SETTINGS["body"], "is_dense": True, "num_tokens": 5}
    with materialize(project, hardware={"devices": 2}, body=body) as run:
        assert run.wait(PATIENCE_SECONDS) == 1
    (failure,) = [
        event.dagster_event.step_failure_data
        for event in events()
        if event.dagster_event and event.dagster_event.is_step_failure
    ]
    assert "the training failed: ConfigurationError: " in failure.error.message
    assert "not 5" in failure.error.message
    assert not (project / "data" / "checkpoints" / "demo").exists()
    assert trainers_of(project) == []


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="without setpriv nothing ties processes together")
def test_a_killed_run_leaves_no_trainers(project):
    with materialize(project, hardware={"devices": 2}, steps=100_000, intervals={"checkpoint": 1}) as run:
        wait_for(lambda: bool(list(project.glob("data/checkpoints/.demo.training-*/state.ckpt"))), run)
        assert len(trainers_of(project)) == 3  # torchrun, and one for each device
        run.send_signal(signal.SIGKILL)
        run.wait()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while trainers_of(project):
            assert time.monotonic() < deadline
            time.sleep(0.1)
