"""The processes of a training on several devices: torchrun starts and ends them, Dagster Pipes listens to the first.

They run `training_process.py` and never see the Dagster run, but end with it, however it ends: `setpriv` ties each
process to the one that started it. Where there is none (it comes with Linux), a killed run leaves them training.
"""

import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
from dagster._core.errors import DagsterPipesExecutionError

from bolid_pipeline.training.config import TrainingConfig
from resources.deployments import Deployment
from resources.environment import environment_of

_SECONDS_TO_END = 60.0
"""For trainers that are asked to: torchrun itself waits 30 s for them."""


def train_in_processes(
    context: dg.AssetExecutionContext, deployment: Deployment
) -> dg.MaterializeResult[None]:
    """Train the deployment's checkpoint in a process for each device; returns what the first process reports.

    Raises:
        dg.Failure: with the message of the process that failed first.
    """
    client = dg.PipesSubprocessClient(termination_timeout_seconds=_SECONDS_TO_END)
    with TemporaryDirectory() as folder:
        error_file = Path(folder) / "error.json"
        environment = {**environment_of(deployment, Path(folder)), "TORCHELASTIC_ERROR_FILE": str(error_file)}
        try:
            done = client.run(context=context, command=_torchrun(deployment.training), env=environment)
        except DagsterPipesExecutionError as error:
            raise dg.Failure(f"the training failed: {_first_error(error_file) or error}") from error
    return done.get_materialize_result()


def _torchrun(training: TrainingConfig) -> list[str]:
    """For this machine, the first; further ones run the same with their own --node-rank (docs/kubernetes.md)."""
    tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    is_alone = training.num_nodes == 1
    machines = ["--standalone"] if is_alone else ["--node-rank", "0", "--nnodes", str(training.num_nodes)]
    devices = ["--nproc-per-node", str(training.devices)]
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
    """What torchrun found out; None where a process ended without a word, such as for lack of memory."""
    return json.loads(error_file.read_bytes())["message"]["message"] if error_file.is_file() else None
