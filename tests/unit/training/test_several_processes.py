"""Two processes that share the batches do what one does."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import two_device_training
from two_device_training import CONFIG, train

from bolid_pipeline.training import checkpoint


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
    done = subprocess.run(
        [
            sys.executable,
            two_device_training.__file__,
            tiny_stable_diffusion,
            tmp_path / "two",
            frozen_weights,
        ],
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
