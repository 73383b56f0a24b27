"""The order in which examples are shown."""

from collections.abc import Iterator

import numpy as np


class ShuffledOrder:
    """Numbers from 0 to `length` - 1 in random order, again and again, every one once per pass."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._rest: Iterator[int] = iter(())

    def next(self, rng: np.random.Generator) -> int:
        """The next number; `rng` shuffles where a new pass begins."""
        number = next(self._rest, None)
        if number is None:
            self._rest = iter(rng.permutation(self._length).tolist())
            number = next(self._rest)
        return number
