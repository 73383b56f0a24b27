"""Photos per second of the stages, from JPEG files to rows, and of their networks alone."""

import time
from collections.abc import Callable

import torch
from sizes import Sizes

from bolid_pipeline.pretrained.device import find_device
from bolid_pipeline.pretrained.memory import free_memory
from bolid_pipeline.stages.batches import cut, run_stage
from bolid_pipeline.training.measurements import StageMeasurement


def measure_stage(sizes: Sizes, name: str) -> StageMeasurement:
    """The throughput of a stage over drawn photos; the first batch is not counted."""
    store, photos = sizes.photos()
    free_memory()
    stage = sizes.recipe(name).open(store, find_device("auto"))
    batches = cut(photos, sizes.photos_per_batch)
    first = [stage.read(photo) for photo in batches[0].to_pylist()]
    stage.compute(batches[0], first)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    network = _seconds(lambda: [stage.compute(batches[0], first) for _ in batches])
    whole = _seconds(lambda: list(run_stage(stage, batches)))
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return StageMeasurement(
        stage=name,
        photos_per_second=photos.num_rows / whole,
        network_photos_per_second=len(batches) * len(first) / network,
        peak_gib=max(peak / 2**30, 0.001),
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
