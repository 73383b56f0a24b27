"""Stages on a Ray cluster: batches go to actors, each with a model of its own, and come back as they finish.

Ray Data streams the batches, starts as many actors as the cluster has room for, and gives the batches of a dead node
to another one. Only photo rows and the stage's rows travel: each node reads the photos from the data's address.
"""

import math
import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from bolid_pipeline.stages.batches import StageActor, cut, usual_batch_size
from bolid_pipeline.stages.recipe import Recipe
from bolid_pipeline.storage.photos import PhotoStore
from resources.compute_engine import ComputeEngine

_MAX_BLOCKS = 10_000
"""Most blocks per refresh; the driver spends about a millisecond on each."""


class RayComputeEngine(ComputeEngine):
    """Stages run on a Ray cluster."""

    address: str | None = None
    """`host:6379` of a running cluster; None starts one on this machine."""
    gpus_per_actor: float = 0.0
    """GPUs for each actor; a fraction puts several models on one GPU."""
    max_actors: int | None = None
    """Most actors of a stage; None for as many as there is room for."""

    def compute(self, recipe: Recipe, store: PhotoStore, photos: pa.Table) -> Iterator[pa.Table]:
        """The rows of the photos as they are done; the recipe is pickled, and opened by each actor.

        An actor is given a block at a time: one batch, or several where there are very many batches.
        """
        ray_data = self._connect()
        batch_size = self.photos_per_batch or usual_batch_size(self.device)
        batches_per_block = math.ceil(photos.num_rows / batch_size / _MAX_BLOCKS)
        blocks = cut(photos.combine_chunks(), batch_size * batches_per_block)
        max_actors = min(self.max_actors or len(blocks), len(blocks))
        made = ray_data.from_arrow(blocks).map_batches(
            StageActor,
            fn_constructor_args=(recipe, store, self.device),
            batch_size=batch_size,
            batch_format="pyarrow",
            compute=ray_data.ActorPoolStrategy(min_size=1, max_size=max_actors),
            num_gpus=self.gpus_per_actor,
        )
        yield from made.iter_batches(batch_size=None, batch_format="pyarrow")

    def _connect(self) -> Any:
        """The module `ray.data`, with a cluster behind it."""
        ray = load_ray()
        if not ray.is_initialized():
            ray.init(self.address or "local")
        return ray.data


def load_ray() -> Any:
    """The module `ray`, without usage statistics and without `uv run` on the workers."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Read when ray is imported. Ray would else send the folder of `uv run` to every node, and install it there again.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    import ray
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False  # refresh_table shows one
    return ray
