"""Where a stage's batches are computed: in this process, or wherever else something of the same shape does it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from bolid_pipeline.stages.prefetch import prefetch

_BATCHES_AHEAD = 2


class Stage(Protocol):
    """A step over photos. It loads its model when it is made, and is called batch by batch."""

    def __call__(self, photos: pa.Table) -> pa.Table:
        """The rows of the stage's table for a batch of photo rows; at most one row per photo, order kept."""
        ...


@runtime_checkable
class ReadingStage(Stage, Protocol):
    """A stage whose two halves can overlap: `stage(photos)` is `compute(photos, read(photos))`."""

    def read(self, photos: pa.Table) -> Any:
        """What the model needs of the photos: decoding and all else that the processor does."""
        ...

    def compute(self, photos: pa.Table, read: Any) -> pa.Table:
        """The rows, by the model."""
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
    yield from run_stage(make_stage(), cut(photos, batch_size))


def run_stage(stage: Stage, batches: Sequence[pa.Table]) -> Iterator[pa.Table]:
    """What a stage makes of each batch, in order; the next batches are read while the model computes one."""
    if not isinstance(stage, ReadingStage):
        yield from map(stage, batches)
        return
    read = prefetch(stage.read, batches, _BATCHES_AHEAD)
    for batch, what_was_read in zip(batches, read, strict=True):
        yield stage.compute(batch, what_was_read)


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
