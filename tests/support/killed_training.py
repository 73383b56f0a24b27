"""A small training, and one that kills its process in the middle."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import torch
from tiny_training import random_data

from bolid_pipeline.training.batch import Batch
from bolid_pipeline.training.config import FewStepConfig, IntervalsConfig, OptimizerConfig, Term
from bolid_pipeline.training.fit import fit
from bolid_pipeline.training.loss_networks import LossNetworkFiles
from bolid_pipeline.training.presets import tiny
from bolid_pipeline.training.system import BoLIDSystem

FATAL_STEP = 5
CONFIG = replace(
    tiny(),
    steps=7,
    batch_size=2,
    optimizer=OptimizerConfig(learning_rate=0.01, warmup_steps=2, ema_decay=0.9),
    few_step=FewStepConfig(every_n_steps=2, sampler="lcm", l_clip=Term(weight=0.1, start_step=2)),
    intervals=IntervalsConfig(checkpoint=2, preview=6),
)


def train(base_model: Path, clip: Path, start_from: Path, run_dir: Path) -> Path:
    """Train on one thread in every process: the last bit of a sum depends on how many share it."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return fit(
            CONFIG,
            replace(random_data(base_model), start_from=start_from),
            run_dir,
            networks=LossNetworkFiles(clip=clip),
            progress=False,
        )
    finally:
        torch.set_num_threads(num_threads)


def train_and_die(base_model: Path, clip: Path, start_from: Path, run_dir: Path) -> None:
    """Train until the fatal step, then kill this process."""
    whole_step = BoLIDSystem.training_step

    def step_or_die(self: BoLIDSystem, batch: Batch, batch_idx: int) -> None:
        if batch["step"] == FATAL_STEP:
            os.kill(os.getpid(), signal.SIGKILL)
        whole_step(self, batch, batch_idx)

    BoLIDSystem.training_step = step_or_die
    train(base_model, clip, start_from, run_dir)
