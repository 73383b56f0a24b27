"""The random numbers of a step: a function of (seed, step), whatever the number of processes.

Every process draws the numbers of the whole batch and keeps the rows of its own samples (rank, rank + num_processes,
...). So one process and several give the same result for the same batch.
"""

from dataclasses import dataclass, field

import torch


@dataclass
class StepRandomness:
    """Draws rows for this process's samples; the tensors are on the CPU.

    Attributes:
        seed: seed of the run.
        step: number of the step.
        rank: number of this process.
        num_processes: number of processes that share the batch.
        generator: for draws that are not by sample, such as which sampler steps keep a gradient.
    """

    seed: int
    step: int
    rank: int = 0
    num_processes: int = 1
    generator: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        """Seed the generator."""
        self.generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)

    def normal(self, num_samples: int, *shape: int) -> torch.Tensor:
        """(num_samples, *shape) standard normal numbers."""
        return self._own(torch.randn((num_samples * self.num_processes, *shape), generator=self.generator))

    def uniform(self, num_samples: int, *shape: int) -> torch.Tensor:
        """(num_samples, *shape) numbers in [0, 1)."""
        return self._own(torch.rand((num_samples * self.num_processes, *shape), generator=self.generator))

    def integers(self, high: int, num_samples: int) -> torch.Tensor:
        """(num_samples,) integers in [0, high)."""
        return self._own(torch.randint(high, (num_samples * self.num_processes,), generator=self.generator))

    def _own(self, rows: torch.Tensor) -> torch.Tensor:
        return rows[self.rank :: self.num_processes]
