"""Costs of a training step beside its maths: Lightning over a bare loop, waiting for data, memory of the two halves.

    uv run python benchmarks/training_step.py

Times are medians over steps taken in turns, so that a busy machine slows both alike. Memory is the growth of a fresh
process's peak resident set over what it holds before its first step (tracemalloc does not see PyTorch).
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning
import numpy as np
import pyarrow as pa
import torch

from bodyworld.weights import weights_folder
from bolid_pipeline.latents.buckets import Bucket
from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.latents.layout import LatentLayout, to_binary
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.training.config import FewStepConfig, Loss, Term, TrainingConfig
from bolid_pipeline.training.data import TrainingData
from bolid_pipeline.training.datamodule import BoLIDDataModule
from bolid_pipeline.training.fit import make_system
from bolid_pipeline.training.loss_networks import LossNetworkFiles
from bolid_pipeline.training.presets import demo
from bolid_pipeline.training.randomness import StepRandomness
from bolid_pipeline.training.system import BoLIDSystem
from bolid_pipeline.training.trainer import new_trainer, quiet_lightning

NUM_PHOTOS = 160
PHOTOS_EACH = 20
LATENT_SHAPE = (4, 16, 16)
IMAGE_EMBED_DIM = 128
_ON = Term(weight=1.0)
_FULL = FewStepConfig(every_n_steps=1, l_id=_ON, l_clip=_ON, checkpointing=False)
MODES: dict[str, FewStepConfig | None] = {
    "L_diff alone": None,
    "few steps, k = 1": _FULL,
    "few steps, k = 4": replace(_FULL, gradient_steps=4),
    "few steps, k = 4, recomputed": replace(_FULL, gradient_steps=4, checkpointing=True),
}


def make(config: TrainingConfig) -> tuple[BoLIDSystem, BoLIDDataModule]:
    """The demo's base model on random latents."""
    latents = table()
    pose = WeightsFile(path=next(weights_folder("pose_estimator").glob("*.safetensors")))
    data = TrainingData(
        base_model=weights_folder("base_model"),
        latents=latents,
        captions={photo_id: f"photo {i % 4}" for i, photo_id in enumerate(latents.photo_ids)},
    )
    system, batches = make_system(config, data, LossNetworkFiles(pose=pose, clip=weights_folder("clip")))
    return system, batches


def table() -> LatentTable:
    """Random latents of the shape that the demo's base model has."""
    vae = json.loads((weights_folder("base_model") / "vae" / "config.json").read_text())
    layout = LatentLayout(
        latent_shapes={Bucket(64, 64): LATENT_SHAPE},
        scaling_factor=vae["scaling_factor"],
        shift_factor=0.0,
        image_embed_dim=IMAGE_EMBED_DIM,
        models="random",
    )
    rng = np.random.default_rng(0)

    def column(*shape: int) -> pa.Array:
        return to_binary(list(rng.normal(size=(NUM_PHOTOS, *shape))), math.prod(shape))

    columns = {
        "photo_id": [f"{number:064x}" for number in range(NUM_PHOTOS)],
        "identity": [f"person-{number // PHOTOS_EACH}" for number in range(NUM_PHOTOS)],
        "latent": column(*LATENT_SHAPE),
        "body_latent": column(*LATENT_SHAPE),
        "image_embed": column(IMAGE_EMBED_DIM),
        "crop": pa.array([[0.0, 0.0, 64.0, 64.0]] * NUM_PHOTOS, pa.list_(pa.float32(), 4)),
        "keypoints": to_binary(list(rng.uniform(0.2, 1, (NUM_PHOTOS, 17, 3))), 17 * 3),
        "model_fingerprint": ["random"] * NUM_PHOTOS,
        "body_fingerprint": ["random"] * NUM_PHOTOS,
    }
    return LatentTable(pa.table(columns, layout.columns), layout)


class StepTimes(lightning.Callback):
    """Seconds from the start of a step to the start of the next: the step, Lightning, and the wait for data."""

    def __init__(self) -> None:
        self._started = 0.0
        self.seconds: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        """Stop the clock of the step before, start this one's."""
        now = time.perf_counter()
        if self._started:
            self.seconds.append(now - self._started)
        self._started = now


@contextmanager
def timed_batches(data: BoLIDDataModule) -> Iterator[list[float]]:
    """Seconds that the making of each batch takes."""
    whole, seconds = data.batch, []

    def batch(step: int) -> Any:
        started = time.perf_counter()
        made = whole(step)
        seconds.append(time.perf_counter() - started)
        return made

    data.batch = batch  # type: ignore[method-assign]
    yield seconds
    data.batch = whole  # type: ignore[method-assign]


def bare_steps(system: BoLIDSystem, data: BoLIDDataModule, count: int) -> list[float]:
    """Seconds of each step of a plain PyTorch loop of the same maths."""
    optimizer = system.configure_optimizers()["optimizer"]
    seconds: list[float] = []
    for step in range(count):
        started = time.perf_counter()
        batch = data.batch(step)
        optimizer.zero_grad()
        terms = system.diffusion.terms(batch, StepRandomness(system.config.seed, step))
        (terms[Loss.L_DIFF] + system.config.diffusion.kl.weight * terms[Loss.KL]).backward()
        torch.nn.utils.clip_grad_norm_(system.trainable_parameters(), system.config.optimizer.max_grad_norm)
        optimizer.step()
        system.ema.step(system.trainable_parameters())
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def lightning_steps(
    system: BoLIDSystem, data: BoLIDDataModule, count: int
) -> tuple[list[float], list[float]]:
    """Seconds of each step under the trainer, and of each batch's making."""
    times = StepTimes()
    system.config = replace(system.config, steps=count)
    with TemporaryDirectory() as folder, timed_batches(data) as waits, quiet_lightning():
        trainer = new_trainer(system.config, Path(folder), callbacks=[times], progress=False)
        trainer.fit(system, datamodule=data)
    return times.seconds[1:], waits


def measure_time(rounds: int, steps: int) -> None:
    """Print both medians, the overhead, and the share of a step that waits for data."""
    system, data = make(replace(demo(), batch_size=8))
    bare: list[float] = []
    under_lightning: list[float] = []
    waits: list[float] = []
    for _ in range(rounds):
        bare += bare_steps(system, data, steps)
        seconds, of_batches = lightning_steps(system, data, steps)
        under_lightning += seconds
        waits += of_batches
    plain, whole = statistics.median(bare), statistics.median(under_lightning)
    print(f"bare loop      {1000 * plain:8.1f} ms a step, median of {len(bare)}")
    print(f"LightningModule{1000 * whole:8.1f} ms a step, {100 * (whole / plain - 1):+.1f} %")
    wait = statistics.median(waits)
    print(f"waiting for data{1000 * wait:7.2f} ms a step, {100 * wait / whole:.2f} %")


def measure_memory(mode: str) -> None:
    """Print by how many MiB two steps raise this process's peak."""
    torch.set_num_threads(1)
    system, data = make(replace(demo(), batch_size=8, few_step=MODES[mode]))
    before = resident_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew; loading the models had a higher one
    for step in range(2):
        randomness = StepRandomness(0, step)
        system.diffusion.terms(data.batch(step), randomness)[Loss.L_DIFF].backward()
        if system.few_step is not None:
            terms = system.few_step.terms(data.batch(step), randomness)
            torch.stack(list(terms.values())).sum().backward()
    print(resident_mib("VmHWM") - before)


def resident_mib(name: str) -> float:
    """MiB of VmRSS (the memory that this process holds now) or of VmHWM (the most it has held); Linux only."""
    status = Path("/proc/self/status").read_text()
    return next(float(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(f"{name}:"))


def main() -> None:
    """Print the times of a step, and the memory of the two halves."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--memory-of", choices=MODES)
    arguments = parser.parse_args()
    if arguments.memory_of is not None:
        measure_memory(arguments.memory_of)
        return
    measure_time(arguments.rounds, arguments.steps)
    grown: dict[str, float] = {}
    for mode in MODES:
        command = [sys.executable, __file__, "--memory-of", mode]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        grown[mode] = float(done.stdout.split()[-1])
        print(f"{mode:30s}{grown[mode]:8.0f} MiB, {grown[mode] / grown['L_diff alone']:.2f} of L_diff alone")


if __name__ == "__main__":
    main()
