"""Running a stage over photos, batch by batch: in this process, or in an actor of a cluster."""

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import pyarrow as pa

from bolid_pipeline.pretrained.device import Device, find_device
from bolid_pipeline.pretrained.memory import BatchSize, free_memory
from bolid_pipeline.stages.prefetch import prefetch
from bolid_pipeline.stages.recipe import PhotoStage, Recipe
from bolid_pipeline.storage.photos import PhotoStore

_BATCH_SIZE_ON_CPU = 16
_BATCH_SIZE_ON_GPU = 64
_BATCHES_AHEAD = 2
_MAX_READERS = 32


def compute_here(
    recipe: Recipe,
    store: PhotoStore,
    photos: pa.Table,
    *,
    batch_size: int | None = None,
    device: Device = "auto",
) -> Iterator[pa.Table]:
    """The rows of each batch of photos, in order, computed in this process.

    One stage's models are on the device at a time: they leave it at the end.
    """
    free_memory()  # of a stage that has failed, whose error was still holding its models then
    batches = cut(photos, batch_size or usual_batch_size(device))
    yield from run_stage(recipe.open(store, find_device(device)), batches)
    free_memory()


def usual_batch_size(device: Device) -> int:
    """Photos in a batch where nobody asks for another number: more on a GPU, which halves what does not fit."""
    return _BATCH_SIZE_ON_CPU if find_device(device) == "cpu" else _BATCH_SIZE_ON_GPU


def run_stage(stage: PhotoStage[Any], batches: Sequence[pa.Table]) -> Iterator[pa.Table]:
    """The rows of each batch, in order; threads, one per core, read the next photos while the model computes.

    A batch that does not fit in the device's memory is computed in halves, and so are those after it.

    Raises:
        OutOfMemory: a single photo does not fit.
    """
    size = BatchSize(max((batch.num_rows for batch in batches), default=0), "photos")
    photos = (photo for batch in batches for photo in batch.to_pylist())
    with closing(_read_ahead(stage, photos, size.size)) as read:
        for batch in batches:
            yield _compute(stage, size, batch, list(islice(read, batch.num_rows)))


def _compute(stage: PhotoStage[Any], size: BatchSize, photos: pa.Table, read: list[Any]) -> pa.Table:
    """The rows of a batch, made in as many parts as the device's memory asks for."""
    return pa.concat_tables(
        size.batches(
            photos.num_rows,
            lambda part: stage.compute(photos.slice(part.start, part.stop - part.start), read[part]),
        )
    )


def _read_ahead(
    stage: PhotoStage[Any], photos: Iterable[dict[str, Any]], batch_size: int
) -> Generator[Any, None, None]:
    """What the stage reads of each photo, in order, some batches ahead."""
    num_threads = min(_MAX_READERS, os.cpu_count() or 1)
    return prefetch(stage.read, photos, max(_BATCHES_AHEAD * batch_size, num_threads), num_threads)


def cut(photos: pa.Table, batch_size: int) -> list[pa.Table]:
    """Slices of `batch_size` rows; the last one may be shorter."""
    return [photos.slice(start, batch_size) for start in range(0, photos.num_rows, batch_size)]


class StageActor:
    """A stage in a worker of a cluster, which needs the domain only. It finds the worker's own device."""

    def __init__(self, recipe: Recipe, store: PhotoStore, device: Device) -> None:
        self._stage = recipe.open(store, find_device(device))
        self._size: BatchSize | None = None

    def __call__(self, photos: pa.Table) -> pa.Table:
        """The rows of a batch; as in `run_stage`, in halves where it does not fit in the device's memory."""
        self._size = self._size or BatchSize(photos.num_rows, "photos")
        read = list(_read_ahead(self._stage, photos.to_pylist(), photos.num_rows))
        return _compute(self._stage, self._size, photos, read)
