"""Stages on a Ray cluster: batches go to actors, each with a model of its own, and come back as they finish.

Ray Data streams the batches, starts as many actors as the cluster has room for, and gives the batches of a node that
died to another one. Only the photo rows and the stage's rows travel: each node reads photos from the data's address.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from bolid_pipeline.storage.map_batches import Stage, StageActor, cut
from resources.compute_engine import ComputeEngine
from resources.deployments import Deployment


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
        """As `MapBatches` says; a batch is an object of Ray's, so that it is cut as on any other engine."""
        ray_data = self._connect()
        batches = cut(photos.combine_chunks(), batch_size)
        max_actors = min(self.max_actors or len(batches), len(batches))
        made = ray_data.from_arrow(batches).map_batches(
            StageActor,
            fn_constructor_args=(make_stage,),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray_data.ActorPoolStrategy(min_size=1, max_size=max_actors),
            num_gpus=self.gpus_per_actor,
        )
        yield from made.iter_batches(batch_size=None, batch_format="pyarrow")

    def _connect(self) -> Any:
        """The module `ray.data`, with a cluster behind it."""
        # Read when Ray is imported. A cluster that is started here does not tell its makers; and workers run in what is
        # installed on their node, where Ray would have them install it anew since the driver was started by `uv run`.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        import ray
        import ray.data

        if not ray.is_initialized():
            ray.init(self.address or "local")
        ray.data.DataContext.get_current().enable_progress_bars = False  # refresh_table shows one
        return ray.data


def compute_engine_of(deployment: Deployment) -> ComputeEngine:
    """The run's own process, or the deployment's cluster."""
    ray = deployment.ray
    if ray is None:
        return ComputeEngine()
    return RayComputeEngine(address=ray.address, gpus_per_actor=ray.gpus_per_actor, max_actors=ray.max_actors)
