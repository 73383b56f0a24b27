"""Photos taken by several processes at once, in the order they were asked for."""

import os
import signal
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from types import ModuleType

import cv2

from bodyworld.world.photographs import Photo, PhotoOrder, PlaceOrder, take_photo

MAX_WORKERS = 8
_PHOTOS_PER_CHUNK = 4
_PHOTOS_PER_WORKER = 2 * _PHOTOS_PER_CHUNK  # fewer than these are not worth a process's start


def take_photos(
    orders: Sequence[PhotoOrder | PlaceOrder], num_workers: int | None = None
) -> Generator[Photo, None, None]:
    """Yield the photo of each order; `num_workers`: processes, one per core by default, 1 for this process alone.

    Close the generator when leaving it early: that ends the processes. An error of `take_photo` is raised here.
    """
    wanted = num_workers or min(os.cpu_count() or 1, MAX_WORKERS)
    num_processes = min(wanted, len(orders) // _PHOTOS_PER_WORKER)
    if num_processes <= 1:
        yield from map(take_photo, orders)
        return
    # Not forked: a fork of a process with threads (torch's, Dagster's) may hang.
    pool = ProcessPoolExecutor(num_processes, mp_context=get_context("spawn"), initializer=_start_worker)
    try:
        with _without_main_module():
            photos = pool.map(take_photo, orders, chunksize=_PHOTOS_PER_CHUNK)
        yield from photos
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Let processes that start now not run the caller's script again, as `spawn` does with the `__main__` it finds.

    The workers need nothing of it; it may import torch, or have no guard, or be no file at all.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _start_worker() -> None:
    """One core each; Ctrl-C is the parent's to handle; a worker whose parent was killed ends too."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
