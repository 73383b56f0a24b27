"""Batches that a thread makes while the model works, in constant memory, with a position that can be saved."""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

import torch
from torch.utils.data import IterableDataset

from bolid_pipeline.stages.prefetch import prefetch

T = TypeVar("T")

_NUM_AHEAD = 4


class BatchesAhead(IterableDataset[T]):
    """What `make` makes of steps 0, 1, 2, ..., in order; at most a few wait at a time.

    One thread and no worker process, because mapped rows would only be copied from one process to the other. The
    position has the methods that Lightning and torchdata's StatefulDataLoader ask for.

    Args:
        make: a batch from the number of its step alone. What it raises is raised where the batch is taken.
        num_steps: in all.
    """

    def __init__(self, make: Callable[[int], T], num_steps: int) -> None:
        self._make = make
        self._num_steps = num_steps
        self._next_step = 0

    def __len__(self) -> int:
        """Number of steps. Lightning prefetches from loaders without a length; defining it turns that off."""
        return self._num_steps

    def __iter__(self) -> Generator[T, None, None]:
        """Yield the batches from the position on."""
        # The first call fixes the OpenMP thread count of this thread. Without it, the count that the other thread
        # sets for itself would become the default, and the model would run on one core.
        torch.get_num_threads()
        for batch in prefetch(self._make_alone, range(self._next_step, self._num_steps), _NUM_AHEAD):
            self._next_step += 1
            yield batch

    def _make_alone(self, step: int) -> T:
        """Make a batch without helper threads."""
        # With OpenMP helpers of its own, this thread and the model together would have more threads than there are
        # cores. libgomp then puts the model's helpers to sleep between any two operations: on two cores a step took
        # 1.4 times as long. The limit holds for this thread only.
        torch.set_num_threads(1)
        return self._make(step)

    def state_dict(self) -> dict[str, Any]:
        """The position: the step of the batch that comes next."""
        return {"next_step": self._next_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on, from the next iteration on, where another one was."""
        self._next_step = state_dict["next_step"]
