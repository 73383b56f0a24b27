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
_PHOTOS_PER_WORKER = 2 * _PHOTOS_PER_CHUNK  # starting a process for fewer takes longer than the photos


def take_photos(
    orders: Sequence[PhotoOrder | PlaceOrder], num_workers: int | None = None
) -> Generator[Photo, None, None]:
    """Yield the photo of each order. An error of `take_photo` is raised here.

    Close the generator when you leave it early: that ends the processes.

    Args:
        orders: in the sequence that the photos come back in.
        num_workers: processes; one per core by default, 1 for this process alone.
    """
    wanted = num_workers or min(os.cpu_count() or 1, MAX_WORKERS)
    num_processes = min(wanted, len(orders) // _PHOTOS_PER_WORKER)
    if num_processes <= 1:
        yield from map(take_photo, orders)
        return
    # "spawn", because a fork of a process with threads (torch's, Dagster's) may hang.
    pool = ProcessPoolExecutor(num_processes, mp_context=get_context("spawn"), initializer=_start_worker)
    try:
        with _without_main_module():
            photos = pool.map(take_photo, orders, chunksize=_PHOTOS_PER_CHUNK)
        yield from photos
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Hide the caller's script from processes that start now.

    `spawn` runs the `__main__` that it finds in every new process. The workers need nothing of it, and it may import
    torch, lack the guard `if __name__ == "__main__"`, or have no file.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _start_worker() -> None:
    """Use one core, leave Ctrl-C to the parent process, and end when the parent does."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
