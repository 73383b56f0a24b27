"""The row groups of a table on object storage that are loaded at a step: a window that slides over all of them."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


class GroupWindows:
    """Each epoch loads every row group once, in its own random order; one enters and one leaves at a time.

    A window depends on (seed, step) alone.

    Args:
        groups: all row groups that hold rows to draw.
        num_kept: number of row groups in the window.
        steps_per_group: steps after which the window moves on by one row group.
        seed: seed of the orders.
    """

    def __init__(self, *, groups: Sequence[int], num_kept: int, steps_per_group: int, seed: int) -> None:
        self._groups = groups
        self._num_kept = min(num_kept, len(groups))
        self._steps_per_group = steps_per_group
        self._seed = seed
        self._order = lru_cache(maxsize=2)(self._order_of_epoch)

    def at(self, step: int) -> frozenset[int]:
        """The row groups in the window; fewer than `num_kept` where two epochs meet and share one."""
        if self._num_kept == len(self._groups):
            return frozenset(self._groups)
        first = step // self._steps_per_group
        return frozenset(self._group_at(place) for place in range(first, first + self._num_kept))

    def _group_at(self, place: int) -> int:
        epoch, place_in_epoch = divmod(place, len(self._groups))
        return int(self._order(epoch)[place_in_epoch])

    def _order_of_epoch(self, epoch: int) -> NDArray[np.intp]:
        return np.random.default_rng([self._seed, epoch]).permutation(self._groups)
