"""A small training on one device or on two; as a program, on two.

    python two_device_training.py BASE_MODEL RUN_DIR STRATEGY

It is a program because Lightning starts its second process by running the command line once more.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

from random_latents import captions_of, random_latents

from bolid_pipeline.training.config import LightningConfig, Strategy, Term, TrainingConfig
from bolid_pipeline.training.fit import fit

CONFIG = TrainingConfig(
    steps=3,
    batch_size=4,
    learning_rate=0.01,
    encoder_grid=8,
    encoder_width=32,
    encoder_layers=1,
    c_body_dim=12,
    lightning=LightningConfig(every_n_steps=2, l_semantic=Term(weight=0.6), l_layout=Term(weight=0.1)),
    gradient_checkpointing=True,
    preview_every_n_steps=2,
)


def train(base_model: Path, run_dir: Path, devices: int, strategy: Strategy = "ddp") -> None:
    latents = random_latents()
    fit(
        replace(CONFIG, devices=devices, strategy=strategy),
        base_model=base_model,
        latents=latents,
        captions=captions_of(latents),
        run_dir=run_dir,
        progress=False,
    )


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]), devices=2, strategy=cast(Strategy, sys.argv[3]))
