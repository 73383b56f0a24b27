"""The random numbers of a step: a function of (seed, step), whatever the number of processes.

Every process draws the numbers of the whole batch and keeps the rows of its own samples (rank, rank + num_processes,
...). So one process and several give the same result for the same batch. The numbers are drawn on the device that uses
them: to copy them there would make the step wait. CPUs and GPUs draw different numbers from one seed.
"""

import random
from dataclasses import dataclass, field

import torch


@dataclass
class StepRandomness:
    """Draws rows for this process's samples.

    Attributes:
        seed: seed of the run.
        step: number of the step.
        rank: number of this process.
        num_processes: number of processes that share the batch.
        device: where the numbers are drawn.
        generator: the generator behind them, for samplers that add noise.
    """

    seed: int
    step: int
    rank: int = 0
    num_processes: int = 1
    device: torch.device | str = "cpu"
    generator: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        """Seed the generator."""
        self.generator = torch.Generator(self.device).manual_seed(self._step_seed)

    def normal(self, num_samples: int, *shape: int) -> torch.Tensor:
        """(num_samples, *shape) standard normal numbers."""
        return self._own(
            torch.randn(
                (num_samples * self.num_processes, *shape), generator=self.generator, device=self.device
            )
        )

    def uniform(self, num_samples: int, *shape: int) -> torch.Tensor:
        """(num_samples, *shape) numbers in [0, 1)."""
        return self._own(
            torch.rand(
                (num_samples * self.num_processes, *shape), generator=self.generator, device=self.device
            )
        )

    def integers(self, high: int, num_samples: int) -> torch.Tensor:
        """(num_samples,) integers in [0, high)."""
        return self._own(
            torch.randint(
                high, (num_samples * self.num_processes,), generator=self.generator, device=self.device
            )
        )

    def choice(self, high: int, count: int) -> frozenset[int]:
        """`count` different integers in [0, high), the same in all processes, known without waiting for the device."""
        return frozenset(random.Random(self._step_seed).sample(range(high), count))

    @property
    def _step_seed(self) -> int:
        return self.seed * 1_000_003 + self.step

    def _own(self, rows: torch.Tensor) -> torch.Tensor:
        return rows[self.rank :: self.num_processes]
