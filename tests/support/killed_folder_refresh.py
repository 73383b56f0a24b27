"""Refreshes from a folder that are killed before their n-th change on disk: `ROOT DATA_DIR N [DATA_DIR N ...]`.

Each runs in a fork of this program, which has imported everything and started no thread yet.
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable

from bolid_pipeline.images import examination
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.crawler import crawl_catalogue, crawl_photos
from bolid_pipeline.scraping.sources.folder import FolderSource
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore

BOUNDS = CrawlConfig(min_photos=1, photos_per_commit=4)


def run_here(function: Callable[..., object], *arguments: object, seconds: float) -> object:  # noqa: ARG001
    """In place of `run_limited`: a worker for each of these short lives would take most of the time."""
    return function(*arguments)


def refresh_until_killed(root: str, data_dir: str, number: int) -> None:
    """Refresh, and be killed before the `number`-th file in the data folder is put in place or removed."""
    changes = itertools.count(1)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event not in ("os.rename", "os.remove") or not str(arguments[0]).startswith(data_dir):
            return
        if next(changes) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    setattr(examination, "run_limited", run_here)  # noqa: B010
    tables, photos = TableStore(data_dir), PhotoStore(data_dir)
    tables.recover()
    photos.recover()
    source = FolderSource(root, BOUNDS)
    crawl_catalogue(source, tables)
    crawl_photos(source, tables, photos)


def main(root: str, *places: str) -> None:
    """Print how each refresh ended: `killed`, or its exit status if there were fewer changes."""
    for data_dir, number in zip(places[::2], places[1::2], strict=True):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                refresh_until_killed(root, data_dir, int(number))
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        sys.stdout.write("killed\n" if os.WIFSIGNALED(status) else f"{os.WEXITSTATUS(status)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
