"""One training, in a process of its own, on one thread."""

from dataclasses import dataclass
from pathlib import Path

import torch
from dataset import open_data

from bodyworld.weights import weights_folder
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.data import TrainingData
from bolid_pipeline.training.fit import fit
from bolid_pipeline.training.loss_networks import LossNetworkFiles


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """Settings and data of a training, and the folder of its checkpoint."""

    name: str
    config: TrainingConfig
    data: Path
    run_dir: Path
    start_from: Path | None = None


def networks() -> LossNetworkFiles:
    """The embedded pose network and CLIP."""
    return LossNetworkFiles(pose=pose_weights(), clip=weights_folder("clip"))


def pose_weights() -> WeightsFile:
    """The weights of the embedded pose network."""
    return WeightsFile(path=next(weights_folder("pose_estimator").glob("*.safetensors")))


def run(job: TrainingJob) -> None:
    """Train. A finished checkpoint is kept."""
    torch.set_num_threads(1)
    if (job.run_dir / "training_config.json").is_file():
        return
    latents, captions = open_data(job.data)
    data = TrainingData(
        base_model=weights_folder("base_model"),
        latents=latents,
        captions=captions,
        start_from=job.start_from,
    )
    fit(job.config, data, job.run_dir, networks=networks())
