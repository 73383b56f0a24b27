"""A Ray cluster on this machine: a head, and two nodes for stages, of which one is killed while a batch is on it."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from bolid_pipeline.stages.recipe import Recipe
from bolid_pipeline.storage.photos import PhotoStore
from resources.ray_engine import RayComputeEngine, load_ray

FATAL_BATCH = 3
"""The batch, counted from the start of the run, on which its node is killed."""
_OBJECT_STORE_BYTES = 80 * 2**20


class WatchedEngine(RayComputeEngine):
    """Notes which node computes each batch; the node that gets the fatal one never finishes it."""

    log: str

    def compute(self, recipe: Recipe, store: PhotoStore, photos: pa.Table) -> Iterator[pa.Table]:
        return super().compute(_watched(recipe, Path(self.log)), store, photos)


def _watched(recipe: Recipe, log: Path) -> Any:
    """A class within a function is pickled as it is: a worker needs no module of the tests."""

    class WatchedRecipe:
        def open(self, store: PhotoStore, device: str) -> Any:
            import ray

            node, stage = ray.get_runtime_context().get_node_id(), recipe.open(store, device)
            compute_unwatched = stage.compute

            def compute(photos: pa.Table, read: list[Any]) -> pa.Table:
                with log.open("a") as file:
                    file.write(json.dumps({"node": node, "photo_ids": photos["photo_id"].to_pylist()}) + "\n")
                if len(log.read_text().splitlines()) == fatal_batch:
                    time.sleep(600)
                return compute_unwatched(photos, read)

            stage.compute = compute
            return stage

    fatal_batch = FATAL_BATCH
    return WatchedRecipe()


@contextmanager
def dying_ray_cluster(log: Path) -> Iterator[dict[str, Any]]:
    """The cluster, as fields of a `WatchedEngine`. A Ray of this process is connected to it."""
    ray = load_ray()
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=_OBJECT_STORE_BYTES)
    log.write_bytes(b"")
    threading.Thread(target=_kill_the_node_of_the_fatal_batch, args=(cluster, log), daemon=True).start()
    try:
        # One actor for each stage: every further one would import torch anew.
        yield {"address": cluster.address, "log": str(log), "max_actors": 1}
    finally:
        ray.shutdown()
        cluster.shutdown()


def _kill_the_node_of_the_fatal_batch(cluster: Any, log: Path) -> None:
    while len(lines := log.read_text().splitlines()) < FATAL_BATCH:
        time.sleep(0.05)
    node_id = json.loads(lines[FATAL_BATCH - 1])["node"]
    (doomed,) = [node for node in cluster.worker_nodes if node.node_id == node_id]
    cluster.remove_node(doomed, allow_graceful=False)
