"""Time and memory of a preset's training steps, under the trainer that a training uses."""

import statistics
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import lightning
import torch
from sizes import Sizes

from bolid_pipeline.pretrained.memory import free_memory
from bolid_pipeline.training.config import IntervalsConfig, TrainingConfig
from bolid_pipeline.training.fit import make_system
from bolid_pipeline.training.measurements import StepMeasurement
from bolid_pipeline.training.presets import PRESETS, PresetName
from bolid_pipeline.training.trainer import new_trainer, quiet_lightning

Part = Literal["l_diff", "few_step"]


def measure_step(sizes: Sizes, preset: PresetName, part: Part) -> StepMeasurement:
    """The median step of a preset: of the half of L_diff alone, or with the few-step half in every step."""
    config = _steady(PRESETS[preset](), part, sizes.warm_up_steps + sizes.timed_steps)
    free_memory()
    system, batches = make_system(config, sizes.training_data(preset), sizes.loss_networks())
    times = _StepTimes()
    with TemporaryDirectory() as log, quiet_lightning():
        trainer = new_trainer(config, Path(log), callbacks=[times], progress=False)
        trainer.fit(system, datamodule=batches)
    warm_up, timed = times.seconds[: sizes.warm_up_steps], times.seconds[sizes.warm_up_steps :]
    step = statistics.median(timed)
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return StepMeasurement(
        preset=preset,
        part=part,
        batch_size=config.batch_size,
        step_ms=1000 * step,
        peak_gib=max(peak / 2**30, 0.001),
        compile_seconds=max(0.0, sum(warm_up) - len(warm_up) * step),
    )


def _steady(config: TrainingConfig, part: Part, steps: int) -> TrainingConfig:
    """The settings with every term on from the first step, and nothing written in between."""
    few_step = config.few_step if part == "few_step" else None
    if few_step is not None:
        terms = ("l_id", "l_clip", "l_semantic", "l_layout")
        on = {name: replace(getattr(few_step, name), start_step=0, ramp_steps=0) for name in terms}
        few_step = replace(few_step, every_n_steps=1, **on)
    l_id = replace(config.diffusion.l_id, start_step=0, ramp_steps=0)
    return replace(
        config,
        steps=steps,
        start_from=None,
        optimizer=replace(config.optimizer, warmup_steps=1),
        diffusion=replace(config.diffusion, l_id=l_id),
        few_step=few_step,
        prior=None,
        intervals=IntervalsConfig(log=10**6, checkpoint=10**6),
    )


class _StepTimes(lightning.Callback):
    """Seconds of each step, the wait for its batch included."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._started = 0.0

    def on_train_start(self, *_: Any) -> None:
        """Start the clock and the meter of memory, with all weights in place."""
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._started = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        """Note the step's time once the device has done it."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds.append(now - self._started)
        self._started = now
