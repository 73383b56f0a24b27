"""Two processes that share the batches do what one does."""

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from random_latents import captions_of, random_latents

from bolid_pipeline.training import checkpoint
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.fit import fit

CONFIG = TrainingConfig(
    steps=3,
    batch_size=4,
    learning_rate=0.01,
    encoder_grid=8,
    encoder_width=32,
    encoder_layers=1,
    c_body_dim=12,
)


def train(base_model: Path, run_dir: Path, devices: int) -> None:
    latents = random_latents()
    fit(
        replace(CONFIG, devices=devices),
        base_model=base_model,
        latents=latents,
        captions=captions_of(latents),
        run_dir=run_dir,
        progress=False,
    )


def _losses(run_dir: Path) -> list[float]:
    with (run_dir / checkpoint.LOSSES_FILE).open(newline="") as file:
        return [float(row["l_diff"]) for row in csv.DictReader(file)]


@pytest.mark.timeout(900)  # four processes import torch; on a busy machine that takes minutes
def test_two_processes_have_the_losses_of_one(tiny_stable_diffusion, tmp_path):
    train(tiny_stable_diffusion, tmp_path / "one", devices=1)
    done = subprocess.run(
        [sys.executable, __file__, str(tiny_stable_diffusion), str(tmp_path / "two"), "2", *sys.path],
        capture_output=True,
        text=True,
        check=False,
        timeout=840,
    )
    assert done.returncode == 0, done.stderr
    assert _losses(tmp_path / "two") == pytest.approx(_losses(tmp_path / "one"), abs=1e-4)
    assert checkpoint.read_metrics(tmp_path / "two")["steps"] == CONFIG.steps


if __name__ == "__main__":
    sys.path[:0] = sys.argv[4:]
    train(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
