"""Where a stage's batches are computed: in this process, or wherever else something of the same shape does it."""

from collections.abc import Callable, Iterator
from typing import Protocol

import pyarrow as pa


class Stage(Protocol):
    """A step over photos. It loads its model when it is made, and is called batch by batch."""

    def __call__(self, photos: pa.Table) -> pa.Table:
        """The rows of the stage's table for a batch of photo rows; at most one row per photo, order kept."""
        ...


class MapBatches(Protocol):
    """A way to compute. Every way cuts the same batches, so that all give equal rows."""

    def __call__(
        self, make_stage: Callable[[], Stage], photos: pa.Table, batch_size: int
    ) -> Iterator[pa.Table]:
        """What a stage makes of each batch of `batch_size` photos, as it is done, in any order.

        Args:
            make_stage: makes the stage; called once wherever batches are computed, which may be another machine.
            photos: at least one row.
            batch_size: photos per call of the stage.
        """
        ...


def map_batches_here(
    make_stage: Callable[[], Stage], photos: pa.Table, batch_size: int
) -> Iterator[pa.Table]:
    """In this process and in order."""
    stage = make_stage()
    for batch in cut(photos, batch_size):
        yield stage(batch)


def cut(photos: pa.Table, batch_size: int) -> list[pa.Table]:
    """Slices of `batch_size` rows, the last one as long as it is."""
    return [photos.slice(start, batch_size) for start in range(0, photos.num_rows, batch_size)]


class StageActor:
    """A stage that is made by the process it runs in; nothing but the domain is needed there."""

    def __init__(self, make_stage: Callable[[], Stage]) -> None:
        self._stage = make_stage()

    def __call__(self, photos: pa.Table) -> pa.Table:
        """A batch."""
        return self._stage(photos)
