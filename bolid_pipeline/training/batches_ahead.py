"""Batches that a thread prepares while the model works, in constant memory, with a position that can be saved."""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from torch.utils.data import IterableDataset

from bolid_pipeline.stages.prefetch import prefetch

T = TypeVar("T")

_NUM_AHEAD = 4


class BatchesAhead(IterableDataset[T]):
    """The batches `make(0)`, `make(1)`, ... in order; at most a few are ready ahead of their step.

    A thread makes them, because worker processes would have to copy the mapped rows. The position is saved by the
    methods that Lightning and torchdata's StatefulDataLoader expect.

    Args:
        make: makes a batch from the number of its step alone. Its errors are raised where the batch is taken.
        num_steps: number of all steps.
    """

    def __init__(self, make: Callable[[int], T], num_steps: int) -> None:
        self._make = make
        self._num_steps = num_steps
        self._next_step = 0

    def __len__(self) -> int:
        """Number of steps. Lightning prefetches from loaders without a length; defining it turns that off."""
        return self._num_steps

    def __iter__(self) -> Generator[T, None, None]:
        """Yield the batches from the current position on."""
        for batch in prefetch(self._make, range(self._next_step, self._num_steps), _NUM_AHEAD):
            self._next_step += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """The position: the step of the batch that comes next."""
        return {"next_step": self._next_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set the position to a saved one; the next iteration starts there."""
        self._next_step = state_dict["next_step"]
