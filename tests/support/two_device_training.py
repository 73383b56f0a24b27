"""A small training on one device or on two, in a process for each."""

from dataclasses import replace
from pathlib import Path

from tiny_training import random_data

from bolid_pipeline.training.config import FewStepConfig, HardwareConfig, IntervalsConfig, Term
from bolid_pipeline.training.fit import fit
from bolid_pipeline.training.presets import tiny

CONFIG = replace(
    tiny(),
    steps=3,
    few_step=FewStepConfig(every_n_steps=2, l_semantic=Term(weight=0.6), l_layout=Term(weight=0.1)),
    hardware=HardwareConfig(gradient_checkpointing=True),
    intervals=IntervalsConfig(preview=2),
)


def train(base_model: Path, run_dir: Path, *, devices: int = 1, shard_frozen_weights: bool = False) -> None:
    """Train on this many devices.

    With two, it is called in two processes that have the variables LOCAL_RANK, MASTER_ADDR and MASTER_PORT; without
    the first, Lightning would start the second process by running the command line once more.
    """
    hardware = replace(CONFIG.hardware, devices=devices, shard_frozen_weights=shard_frozen_weights)
    fit(
        replace(CONFIG, hardware=hardware),
        random_data(base_model),
        run_dir,
        progress=False,
    )


def train_on_two(base_model: Path, run_dir: Path, shard_frozen_weights: bool) -> None:
    """Train as one of two processes."""
    train(base_model, run_dir, devices=2, shard_frozen_weights=shard_frozen_weights)
