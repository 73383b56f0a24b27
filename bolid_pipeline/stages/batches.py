"""Running a stage over photos, batch by batch: in this process, or in an actor of a cluster."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from bolid_pipeline.pretrained.device import Device, find_device
from bolid_pipeline.stages.prefetch import prefetch
from bolid_pipeline.stages.recipe import PhotoStage, Recipe
from bolid_pipeline.storage.photos import PhotoStore

_BATCHES_AHEAD = 2


def compute_here(
    recipe: Recipe, store: PhotoStore, photos: pa.Table, *, batch_size: int = 16, device: Device = "auto"
) -> Iterator[pa.Table]:
    """The rows of each batch of photos, in order, computed in this process."""
    yield from run_stage(recipe.open(store, find_device(device)), cut(photos, batch_size))


def run_stage(stage: PhotoStage[Any], batches: Sequence[pa.Table]) -> Iterator[pa.Table]:
    """The rows of each batch, in order; the next batches are read while the model computes one."""
    read = prefetch(stage.read, batches, _BATCHES_AHEAD)
    for batch, of_batch in zip(batches, read, strict=True):
        yield stage.compute(batch, of_batch)


def cut(photos: pa.Table, batch_size: int) -> list[pa.Table]:
    """Slices of `batch_size` rows; the last one may be shorter."""
    return [photos.slice(start, batch_size) for start in range(0, photos.num_rows, batch_size)]


class StageActor:
    """A stage in a worker of a cluster, which needs the domain only. It finds the worker's own device."""

    def __init__(self, recipe: Recipe, store: PhotoStore, device: Device) -> None:
        self._stage = recipe.open(store, find_device(device))

    def __call__(self, photos: pa.Table) -> pa.Table:
        """The rows of a batch."""
        return self._stage(photos)
