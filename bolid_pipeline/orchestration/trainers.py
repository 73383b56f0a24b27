"""Starts the processes of a training on several devices with torchrun, and listens to the first by Dagster Pipes.

They run `training_process.py`, know nothing of the Dagster run, and end with it, however it ends: `setpriv` ties each
process to the one that started it. On a system without `setpriv` (Linux has it) they outlive a killed run.
"""

import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from bolid_pipeline.training.config import TrainingConfig
from resources.deployments import Deployment
from resources.environment import environment_of

_SECONDS_TO_END = 60.0
"""Time for trainers to end when a run is cancelled. torchrun itself waits 30 s for them."""


def train_in_processes(
    context: dg.AssetExecutionContext, deployment: Deployment
) -> dg.MaterializeResult[None]:
    """Train the deployment's checkpoint in one process per device; returns the report of the first process.

    Raises:
        dg.Failure: a process failed; the message is that of the first one.
    """
    client = dg.PipesSubprocessClient(termination_timeout_seconds=_SECONDS_TO_END)
    with TemporaryDirectory() as folder:
        error_file = Path(folder) / "error.json"
        environment = {**environment_of(deployment, Path(folder)), "TORCHELASTIC_ERROR_FILE": str(error_file)}
        try:
            done = client.run(context=context, command=_torchrun(deployment.training), env=environment)
        except Exception as error:
            raise dg.Failure(f"the training failed: {_first_error(error_file) or error}") from error
    return done.get_materialize_result()


def _torchrun(training: TrainingConfig) -> list[str]:
    """Return torchrun's command for this machine.

    This machine is the first. Further ones run the same command with their own --node-rank (docs/kubernetes.md).
    """
    tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    is_alone = training.hardware.num_nodes == 1
    machines = (
        ["--standalone"] if is_alone else ["--node-rank", "0", "--nnodes", str(training.hardware.num_nodes)]
    )
    devices = ["--nproc-per-node", str(training.hardware.devices)]
    trainer = [*tied, sys.executable, "-m", "bolid_pipeline.orchestration.training_process"]
    return [
        *tied,
        sys.executable,
        "-m",
        "torch.distributed.run",
        *machines,
        *devices,
        "--no-python",
        *trainer,
    ]


def _first_error(error_file: Path) -> str | None:
    """Return the message that torchrun wrote down; None if the process could not leave one, e.g. out of memory."""
    return json.loads(error_file.read_bytes())["message"]["message"] if error_file.is_file() else None
