"""The common part of all trainings: their command line, their run folder, and the report of progress."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, Self

import click
import numpy as np
import torch
from torch import Tensor, nn

from bodyworld.pretrain.timed_training import TimedTraining

_logger = logging.getLogger(__name__)

Losses = Callable[[np.random.Generator], dict[str, Tensor]]
"""Draws a batch with a generator and returns its losses by name; their sum is minimised."""


@dataclass(frozen=True, kw_only=True)
class PretrainRun:
    """One training as asked for on the command line."""

    run_dir: Path
    """Progress, pictures and metrics; a training that finds its progress here goes on from it."""
    minutes: float
    """Length of the training, on the wall clock."""
    seed: int

    def part(self, name: str, share: float) -> Self:
        """A part of the run that takes a share of its time, in its own folder."""
        return replace(self, run_dir=self.run_dir / name, minutes=share * self.minutes)

    def train(
        self, model: nn.Module, losses: Losses, on_checkpoint: Callable[[int], None], **schedule: Any
    ) -> None:
        """Train until the time is over; `schedule` holds further fields of `TimedTraining`."""
        training = TimedTraining(run_dir=self.run_dir, minutes=self.minutes, **schedule)
        training.run(model, losses, on_checkpoint, self.seed)

    def report(self, step: int, measured: dict[str, Any]) -> None:
        """Write what was measured to `metrics.json` and log it."""
        metrics = measured | {"num_steps": step, "minutes": self.minutes}
        (self.run_dir / "metrics.json").write_text(json.dumps(metrics, indent=1))
        _logger.info("step %d: %s", step, measured)


def pretrain_command(
    name: str, *, minutes: float, seed: int
) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function `(run, **options)` the command of a training; it may add its own `click.option`s.

    Args:
        name: name of the default run folder.
        minutes: default length of the training.
        seed: default seed.
    """

    def make_command(train: Callable[..., None]) -> click.Command:
        @click.command(help=train.__doc__)
        @click.option("--run-dir", type=Path, default=Path("data/pretrain") / name, show_default=True)
        @click.option("--minutes", default=minutes, show_default=True, help="Of training, on the wall clock.")
        @click.option("--seed", default=seed, show_default=True)
        @click.option("--threads", type=int, default=None, help="Of the CPU; as many as it has by default.")
        @wraps(train)
        def command(*, run_dir: Path, minutes: float, seed: int, threads: int | None, **options: Any) -> None:
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
            if threads is not None:
                torch.set_num_threads(threads)
            torch.manual_seed(seed)
            run_dir.mkdir(parents=True, exist_ok=True)
            train(PretrainRun(run_dir=run_dir, minutes=minutes, seed=seed), **options)

        return command

    return make_command


thumbnails_option = click.option(
    "--thumbnails",
    "thumbnails_dir",
    type=Path,
    default=Path("data/pretrain/thumbnails"),
    show_default=True,
    help="Folder that `bodyworld.pretrain.thumbnails` has filled.",
)
photos_option = click.option(
    "--photos",
    "photos_dir",
    type=Path,
    default=Path("data/pretrain/photos"),
    show_default=True,
    help="Folder that `bodyworld.pretrain.photos` has filled.",
)
