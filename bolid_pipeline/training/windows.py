"""Which row groups of a table on object storage are at hand at a step: a few that slide over all of them."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


class GroupWindows:
    """Each epoch shows every row group once, in an order of its own; one comes and one goes at a time.

    A window depends on (seed, step) alone. A row group stays for as many steps as draw, on average, each row once.

    Args:
        groups: all of the table that hold something to draw.
        num_kept: row groups at hand.
        steps_per_group: after so many steps the next row group comes.
        seed: of the orders.
    """

    def __init__(self, *, groups: Sequence[int], num_kept: int, steps_per_group: int, seed: int) -> None:
        self._groups = groups
        self._num_kept = min(num_kept, len(groups))
        self._steps_per_group = steps_per_group
        self._seed = seed
        self._order = lru_cache(maxsize=2)(self._order_of_epoch)

    def at(self, step: int) -> frozenset[int]:
        """The row groups at hand; fewer where two epochs meet and the same one is in both."""
        if self._num_kept == len(self._groups):
            return frozenset(self._groups)
        first = step // self._steps_per_group
        return frozenset(self._group_at(place) for place in range(first, first + self._num_kept))

    def _group_at(self, place: int) -> int:
        epoch, place_in_epoch = divmod(place, len(self._groups))
        return int(self._order(epoch)[place_in_epoch])

    def _order_of_epoch(self, epoch: int) -> NDArray[np.intp]:
        return np.random.default_rng([self._seed, epoch]).permutation(self._groups)
