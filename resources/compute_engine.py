"""Where models run: which device, and how photos are fed to them."""

from collections.abc import Callable, Iterator
from functools import partial

import dagster as dg
import pyarrow as pa

from bolid_pipeline.pretrained.device import Device, find_device
from bolid_pipeline.stages.batches import Stage, map_batches_here
from bolid_pipeline.stages.refresh import Batches


class ComputeEngine(dg.ConfigurableResource["ComputeEngine"]):
    """The device that models run on, and how photos are fed to them: one batch after the other, in this process.

    What it hands out to stages is of the domain and can be pickled: a worker of a cluster knows nothing of Dagster.
    """

    device: Device = "auto"
    photos_per_batch: int = 16
    """Photos in a call of a model."""
    photos_per_commit: int = 64
    """Photos in a part of a table: what a killed run loses at most."""

    @property
    def batches(self) -> Batches:
        """For `refresh_table`."""
        return Batches(
            batch_size=self.photos_per_batch,
            rows_per_commit=self.photos_per_commit,
            map_batches=self.map_batches,
        )

    def map_batches(
        self, make_stage: Callable[[], Stage], photos: pa.Table, batch_size: int
    ) -> Iterator[pa.Table]:
        """As `MapBatches` says: in this process."""
        return map_batches_here(make_stage, photos, batch_size)

    @property
    def find_device(self) -> Callable[[], str]:
        """Says `cuda` or `cpu`, on the machine where it is asked; `auto` takes the GPU where there is one."""
        return partial(find_device, self.device)
