"""Stages on a Ray cluster: batches go to actors, each with a model of its own, and come back as they finish.

Ray Data streams the batches, starts as many actors as the cluster has room for, and gives the batches of a node that
died to another one. Only the photo rows and the stage's rows travel: each node reads photos from the data's address.
"""

import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from bolid_pipeline.stages.batches import Stage, StageActor, cut
from resources.compute_engine import ComputeEngine
from resources.deployments import Deployment

_MAX_BLOCKS = 10_000
"""Ray spends about a millisecond of the driver on each."""


class RayComputeEngine(ComputeEngine):
    """Stages run on a Ray cluster."""

    address: str | None = None
    """`host:6379`; None for a cluster that is started on this machine."""
    gpus_per_actor: float = 0.0
    """May be a fraction, for several models on a GPU."""
    max_actors: int | None = None
    """Of a stage; None for as many as there is room for."""

    def map_batches(
        self, make_stage: Callable[[], Stage], photos: pa.Table, batch_size: int
    ) -> Iterator[pa.Table]:
        """As `MapBatches` says.

        A block, which is what an actor is given at a time, is one batch, or several of them where there are very many.
        """
        ray_data = self._connect()
        blocks = cut(
            photos.combine_chunks(), batch_size * math.ceil(photos.num_rows / batch_size / _MAX_BLOCKS)
        )
        max_actors = min(self.max_actors or len(blocks), len(blocks))
        made = ray_data.from_arrow(blocks).map_batches(
            StageActor,
            fn_constructor_args=(make_stage,),
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
    """The module, which neither tells its makers of a cluster that is started here nor installs anything.

    Started by `uv run`, Ray would send this folder to every node and install it there anew.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # read when ray is imported
    import ray
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False  # refresh_table shows one
    return ray


def compute_engine_of(deployment: Deployment) -> ComputeEngine:
    """The run's own process, or the deployment's cluster."""
    ray = deployment.ray
    if ray is None:
        return ComputeEngine()
    return RayComputeEngine(address=ray.address, gpus_per_actor=ray.gpus_per_actor, max_actors=ray.max_actors)
