"""A training on several devices, as the asset starts it in a Dagster run: what it reports, and how it ends."""

import json
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from commands import PATIENCE_SECONDS, start_command
from random_latents import store_random_latents

from bolid_pipeline.training import checkpoint
from resources.environment import current_deployment
from resources.model_hub import model_hub_of

REPOSITORY = Path(__file__).parents[2]
# Trainers import torch, on a machine that may be busy.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SETTINGS: dict[str, Any] = {
    "steps": 2,
    "batch_size": 4,
    "prior": None,
    "body": {"max_views": 2, "grid": 8, "width": 32, "c_body_dim": 12},
}


@pytest.fixture
def project(tmp_path):
    """A folder with the instance's settings, and small random latents of the embedded base model, with captions."""
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    store_random_latents(tmp_path / "data", model_hub_of(current_deployment({})).latent_models())
    return tmp_path


def start(project: Path, command: str, *arguments: str, settings: dict[str, Any], **environment: str):
    """A command in the project folder, with settings of the training."""
    training = json.dumps(SETTINGS | settings)
    data_dir = str(project / "data")
    return start_command(
        project, command, *arguments, BOLID_DATA_DIR=data_dir, BOLID_TRAINING=training, **environment
    )


def materialize(
    project: Path,
    *,
    settings: dict[str, Any] | None = None,
    launchpad: dict[str, Any] | None = None,
    **environment: str,
):
    """A run of the checkpoint, with settings from the environment and from the launchpad."""
    config = json.dumps({"ops": {"bolid_checkpoint": {"config": launchpad or {}}}})
    asset = ["-m", "bolid_pipeline.definitions", "--select", "bolid_checkpoint", "--config-json", config]
    return start(project, "dagster", "asset", "materialize", *asset, settings=settings or {}, **environment)


def trainers_of(project: Path) -> list[int]:
    """The processes that train in this project's folder, by what the system knows of them."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, working_folder = (folder / "cmdline").read_bytes(), (folder / "cwd").resolve(strict=True)
        except OSError:
            continue
        if b"bolid_pipeline.orchestration.training_process" in command and working_folder == project:
            found.append(int(folder.name))
    return found


@pytest.fixture
def events(project, monkeypatch):
    """The events of the only run."""
    monkeypatch.chdir(project)
    with dg.DagsterInstance.from_config(str(project)) as instance:
        yield lambda: instance.all_logs(instance.get_runs()[0].run_id)


def check_that_two_processes_trained_and_reported(project: Path, events: Callable[[], list[Any]]) -> None:
    folder = project / "data" / "checkpoints" / "demo"
    assert (folder / "body_adapter.safetensors").is_file()
    assert [path.name for path in folder.parent.iterdir()] == ["demo"]
    (made,) = [event.asset_materialization for event in events() if event.asset_materialization]
    reported = {name: value.value for name, value in made.metadata.items()}
    assert (reported["num_processes"], reported["backend"]) == (2, "gloo")
    assert (reported["num_computed"], reported["steps"]) == (1, 2)
    messages = [event.user_message for event in events()]
    assert messages.count("training: step 2 of 2") == 1
    assert trainers_of(project) == []


def test_two_devices_train_in_processes_that_report_to_the_run(project, events):
    with materialize(project, launchpad={"hardware": {"devices": 2}, "seed": 7}) as run:
        assert run.wait() == 0, run.output
    check_that_two_processes_trained_and_reported(project, events)
    trained = checkpoint.read_config(project / "data" / "checkpoints" / "demo")
    assert (trained.hardware.devices, trained.hardware.shard_frozen_weights) == (2, False)
    assert trained.seed == 7


def test_two_machines_of_one_device_train_together_and_share_the_frozen_weights(project, events):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    settings = {"hardware": {"num_nodes": 2, "shard_frozen_weights": True}}
    second = ["--nnodes", "2", "--node-rank", "1", "--master-addr", "127.0.0.1"]
    second += ["-m", "bolid_pipeline.orchestration.training_process"]
    with (
        start(project, "torchrun", *second, settings=settings, PET_MASTER_PORT=port) as other,
        materialize(project, settings=settings, PET_MASTER_PORT=port) as run,
    ):
        assert run.wait() == 0, run.output
        assert other.wait() == 0, other.output
    check_that_two_processes_trained_and_reported(project, events)
    trained = checkpoint.read_config(project / "data" / "checkpoints" / "demo")
    assert (trained.hardware.num_nodes, trained.hardware.shard_frozen_weights) == (2, True)


def test_a_failing_training_fails_the_asset_with_its_message(project, events):
    # Only the trainers make the body encoder, which refuses this number of tokens.
    body = {**SETTINGS["body"], "is_dense": True, "num_tokens": 5}
    with materialize(project, settings={"hardware": {"devices": 2}, "body": body}) as run:
        assert run.wait() == 1, run.output
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
    settings = {"hardware": {"devices": 2}, "steps": 100_000, "intervals": {"checkpoint": 1}}
    with materialize(project, settings=settings) as run:
        run.wait_for(lambda: bool(list(project.glob("data/checkpoints/.demo.training-*/state.ckpt"))))
        assert len(trainers_of(project)) == 3  # torchrun, and one for each device
        run.kill()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while trainers_of(project):
            assert time.monotonic() < deadline
            time.sleep(0.1)
