"""Two processes that share the batches do what one does."""

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from random_latents import captions_of, random_latents

from bolid_pipeline.training import checkpoint
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
    latents = random_latents()
    hardware = replace(CONFIG.hardware, devices=devices, shard_frozen_weights=shard_frozen_weights)
    fit(
        replace(CONFIG, hardware=hardware),
        base_model=base_model,
        latents=latents,
        captions=captions_of(latents),
        run_dir=run_dir,
        progress=False,
    )


def _losses(run_dir: Path) -> dict[str, list[float]]:
    """Every term that is written down: its values."""
    with (run_dir / checkpoint.LOSSES_FILE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows if row[name]] for name in rows[0]}


@pytest.fixture(scope="module")
def losses_of_one(tiny_stable_diffusion, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("one") / "one"
    train(tiny_stable_diffusion, run_dir, devices=1)
    return _losses(run_dir)


@pytest.mark.timeout(900)  # four processes import torch; on a busy machine that takes minutes
@pytest.mark.parametrize("frozen_weights", ["whole", "shared"])
def test_two_processes_have_the_losses_of_one(tiny_stable_diffusion, tmp_path, losses_of_one, frozen_weights):
    arguments = [str(tiny_stable_diffusion), str(tmp_path / "two"), frozen_weights, *sys.path]
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=840,
    )
    assert done.returncode == 0, done.stderr
    losses = _losses(tmp_path / "two")
    assert losses.keys() == losses_of_one.keys()
    for name, of_one in losses_of_one.items():
        assert losses[name] == pytest.approx(of_one, abs=1e-4), name
    assert checkpoint.read_metrics(tmp_path / "two")["steps"] == CONFIG.steps


if __name__ == "__main__":
    sys.path[:0] = sys.argv[4:]
    train(Path(sys.argv[1]), Path(sys.argv[2]), devices=2, shard_frozen_weights=sys.argv[3] == "shared")
