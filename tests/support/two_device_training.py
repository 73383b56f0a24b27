"""A small training on one device or on two; as a program, on two.

    python two_device_training.py BASE_MODEL RUN_DIR whole|shared

It is a program because Lightning starts its second process by running the command line once more.
"""

import sys
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


def train(base_model: Path, run_dir: Path, *, devices: int, shard_frozen_weights: bool = False) -> None:
    hardware = replace(CONFIG.hardware, devices=devices, shard_frozen_weights=shard_frozen_weights)
    fit(
        replace(CONFIG, hardware=hardware),
        random_data(base_model),
        run_dir,
        progress=False,
    )


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]), devices=2, shard_frozen_weights=sys.argv[3] == "shared")
