"""A training loop that lasts a given time instead of a given number of steps, and survives interruption.

The machine that trains these networks is small and shared, so the number of steps in an hour is unknown. The cosine of
the learning rate runs over wall-clock time instead.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

_logger = logging.getLogger(__name__)


def half_precision() -> torch.autocast:
    """An autocast to bfloat16, switched off on CPUs that do not compute in it: it would be ten times slower there."""
    is_fast: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - there is no public question
    return torch.autocast("cpu", torch.bfloat16, enabled=is_fast)


@dataclass(frozen=True, kw_only=True)
class TimedTraining:
    """The training of a network for a given time."""

    run_dir: Path
    """Progress is kept here, in `training.pt`."""
    minutes: float
    """Length of the training on the wall clock; the time between two runs does not count."""
    learning_rate: float
    """Peak of the cosine."""
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    warmup_fraction: float = 0.03
    """Share of the time until the peak."""
    final_fraction: float = 0.02
    """Learning rate at the end, as a share of the peak."""
    max_grad_norm: float = 1.0
    ema_decay: float = 0.998
    """Decay of the moving average of the weights, which is the result of a training."""
    checkpoint_minutes: float = 3.0
    log_every: int = 50
    """Steps between two lines of the log."""

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate after a fraction of the time: linear warm-up, then half a cosine."""
        if progress < self.warmup_fraction:
            return self.learning_rate * max(progress / self.warmup_fraction, 0.01)
        phase = min(1.0, (progress - self.warmup_fraction) / (1.0 - self.warmup_fraction))
        return self.learning_rate * (
            self.final_fraction + (1 - self.final_fraction) * 0.5 * (1 + math.cos(math.pi * phase))
        )

    def run(
        self,
        model: nn.Module,
        losses: Callable[[np.random.Generator], dict[str, Tensor]],
        on_checkpoint: Callable[[int], None],
        seed: int,
    ) -> int:
        """Train a model until the time is over; returns the number of steps.

        Args:
            model: changed in place; at the end its weights are the moving average.
            losses: draws a batch with the generator it is given and returns its losses by name, whose sum is minimised.
            on_checkpoint: is called with the step while the moving average is in place of the weights.
            seed: seed of the batches, together with the step at which training starts or continues.
        """
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            parameters, lr=self.learning_rate, betas=self.betas, weight_decay=self.weight_decay, fused=True
        )
        average = EMAModel(parameters, decay=self.ema_decay, use_ema_warmup=True, power=0.8)
        step, elapsed = self._resume(model, optimizer, average)
        rng = np.random.default_rng((seed, step))
        torch.manual_seed(seed + step)
        recent: list[dict[str, float]] = []
        last_checkpoint = elapsed
        while elapsed < 60 * self.minutes:
            started = time.monotonic()
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate_at(elapsed / (60 * self.minutes))
            named = losses(rng)
            optimizer.zero_grad(set_to_none=True)
            torch.stack(list(named.values())).sum().backward()
            torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
            optimizer.step()
            average.step(parameters)
            step += 1
            recent.append({name: loss.item() for name, loss in named.items()})
            elapsed += time.monotonic() - started
            if step % self.log_every == 0:
                _log(step, elapsed, recent)
                recent.clear()
            if elapsed - last_checkpoint > 60 * self.checkpoint_minutes:
                last_checkpoint = elapsed
                self._save(step, elapsed, model, optimizer, average)
                average.store(parameters)
                average.copy_to(parameters)
                on_checkpoint(step)
                average.restore(parameters)
        self._save(step, elapsed, model, optimizer, average)
        average.copy_to(parameters)
        on_checkpoint(step)
        return step

    def _save(
        self, step: int, elapsed: float, model: nn.Module, optimizer: torch.optim.Optimizer, average: EMAModel
    ) -> None:
        self.run_dir.mkdir(parents=True, exist_ok=True)
        state = {
            "step": step,
            "elapsed": elapsed,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": average.state_dict(),
        }
        torch.save(state, self.run_dir / "training.pt.part")
        (self.run_dir / "training.pt.part").replace(self.run_dir / "training.pt")

    def _resume(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, average: EMAModel
    ) -> tuple[int, float]:
        path = self.run_dir / "training.pt"
        if not path.exists():
            return 0, 0.0
        state = torch.load(path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        for group in optimizer.param_groups:
            group["fused"] = True
        average.load_state_dict(state["average"])
        return state["step"], state["elapsed"]


def _log(step: int, elapsed: float, recent: list[dict[str, float]]) -> None:
    means = ", ".join(f"{name} {np.mean([entry[name] for entry in recent]):.4f}" for name in recent[0])
    _logger.info("step %d, %.0f s: %s", step, elapsed, means)
