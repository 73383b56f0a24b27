"""Where models run: on which device, and in which process."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated

import dagster as dg
import pyarrow as pa
from pydantic import ConfigDict, Field

from bolid_pipeline.pretrained.device import Device
from bolid_pipeline.stages.batches import compute_here
from bolid_pipeline.stages.recipe import Recipe
from bolid_pipeline.stages.refresh import RefreshReport, refresh_table
from bolid_pipeline.storage.photos import PhotoStore
from resources.deployments import Deployment
from resources.table_store import DataStore


class ComputeEngine(dg.ConfigurableResource["ComputeEngine"]):
    """Runs the stages: one batch after the other, in this process."""

    model_config = ConfigDict(use_attribute_docstrings=True)  # the launchpad shows them

    device: Device = "auto"
    """Device of the models: `auto` is the GPU if there is one."""
    photos_per_batch: Annotated[int, Field(gt=0)] | None = None
    """Photos in one call of a model: 64 on a GPU, 16 on a CPU. A GPU computes those that do not fit in halves."""
    photos_per_commit: Annotated[int, Field(gt=0)] = 64
    """Photos in one part of a table: the most that a killed run loses."""

    def refresh(self, store: DataStore, recipe: Recipe, photos: pa.Table) -> RefreshReport:
        """Bring the recipe's table up to date with these photos: see `refresh_table`."""
        compute = partial(self.compute, recipe, store.photos)
        return refresh_table(store.tables, recipe, photos, compute, rows_per_commit=self.photos_per_commit)

    def compute(self, recipe: Recipe, store: PhotoStore, photos: pa.Table) -> Iterator[pa.Table]:
        """The rows of the photos, in pieces, in any order. Every engine cuts the same batches, for equal rows."""
        return compute_here(recipe, store, photos, batch_size=self.photos_per_batch, device=self.device)


def compute_engine_of(deployment: Deployment) -> ComputeEngine:
    """The run's own process, or the deployment's cluster."""
    from resources.ray_engine import RayComputeEngine

    ray = deployment.ray
    if ray is None:
        return ComputeEngine()
    return RayComputeEngine(address=ray.address, gpus_per_actor=ray.gpus_per_actor, max_actors=ray.max_actors)
