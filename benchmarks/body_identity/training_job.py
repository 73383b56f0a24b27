"""One training of so many minutes, in a process of its own, on one thread."""

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from dataset import open_data

from bolid_pipeline.bodyworld.pretrained import weights_folder
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.training.checkpoint import read_metrics
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.fit import fit, make_system
from bolid_pipeline.training.loss_networks import LossNetworkFiles
from bolid_pipeline.training.randomness import StepRandomness

_TRIAL_STEPS = 6


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """What to train, from what, for how long, and where the checkpoint goes."""

    name: str
    config: TrainingConfig
    """Its `steps` are set here, from the time that a step takes."""
    minutes: float
    data: Path
    run_dir: Path
    start_from: Path | None = None


def networks() -> LossNetworkFiles:
    """The embedded pose network and CLIP."""
    return LossNetworkFiles(pose=pose_weights(), clip=weights_folder("clip"))


def pose_weights() -> WeightsFile:
    """Of the embedded pose network."""
    return WeightsFile(path=next(weights_folder("pose_estimator").glob("*.safetensors")))


def run(job: TrainingJob) -> tuple[str, int]:
    """Train; returns the job's name and the number of steps. A finished checkpoint is kept."""
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if (job.run_dir / "training_config.json").is_file():
        return job.name, read_metrics(job.run_dir)["steps"]
    latents, captions = open_data(job.data)
    base_model = weights_folder("base_model")
    steps = max(_TRIAL_STEPS, int(60 * job.minutes / _seconds_per_step(job, base_model)))
    logging.getLogger(__name__).info("%s: %d steps in %.1f minutes", job.name, steps, job.minutes)
    fit(
        replace(job.config, steps=steps),
        base_model=base_model,
        latents=latents,
        captions=captions,
        run_dir=job.run_dir,
        networks=networks(),
        start_from=job.start_from,
        progress=False,
    )
    return job.name, steps


def _seconds_per_step(job: TrainingJob, base_model: Path) -> float:
    """Measured by a short training, the first steps left out."""
    latents, captions = open_data(job.data)
    system, data = make_system(
        job.config, base_model=base_model, latents=latents, captions=captions, networks=networks()
    )
    optimizer = torch.optim.AdamW(system.trainable_parameters())
    branch, seconds = job.config.lightning, 0.0
    for step in range(-2, _TRIAL_STEPS):
        started = time.monotonic()
        randomness = StepRandomness(0, 10**6)  # a step in which every term has its weight
        batch = data.batch(step + 2)
        optimizer.zero_grad()
        terms = system.diffusion_terms(batch, randomness)
        torch.stack(list(terms.values())).sum().backward()
        if branch is not None and step % branch.every_n_steps == 0:
            torch.stack(list(system.lightning_terms(batch, randomness).values())).sum().backward()
        optimizer.step()
        system.ema.step(system.trainable_parameters())
        seconds += (time.monotonic() - started) * (step >= 0)
    return seconds / _TRIAL_STEPS
