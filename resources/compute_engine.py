"""Where models run: on which device, and in which process."""

from collections.abc import Iterator
from functools import partial

import dagster as dg
import pyarrow as pa

from bolid_pipeline.pretrained.device import Device
from bolid_pipeline.stages.batches import compute_here
from bolid_pipeline.stages.recipe import Recipe
from bolid_pipeline.stages.refresh import RefreshReport, refresh_table
from bolid_pipeline.storage.photos import PhotoStore
from resources.deployments import Deployment
from resources.table_store import DataStore


class ComputeEngine(dg.ConfigurableResource["ComputeEngine"]):
    """Runs the stages: one batch after the other, in this process."""

    device: Device = "auto"
    photos_per_batch: int = 16
    """Photos in a call of a model."""
    photos_per_commit: int = 64
    """Photos in a part of a table: what a killed run loses at most."""

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
