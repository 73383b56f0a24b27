"""The worker processes of this process, in which bytes from outside are read."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import psutil

from bolid_pipeline.workers import run_limited


def worker_processes() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "bolid_pipeline.workers" in each.cmdline()]


def start_all_workers() -> None:
    """Start every worker that there may be, by keeping all of them busy at once."""
    num_workers = os.cpu_count() or 1
    with ThreadPoolExecutor(num_workers) as threads:
        list(threads.map(lambda _: run_limited(time.sleep, 0.1, seconds=5), range(num_workers)))
