"""Real processes that crawl, to be killed by a test at any moment.

Run as a program it loads what a crawl needs once, then forks a process for every line of JSON on its standard input,
{"data_dir", "url", "max_concurrency"}. It answers with two lines: the process id as soon as there is one, and how
the process ended (0, or minus the signal).
"""

import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CrawlProcess:
    """A crawl that is under way."""

    def __init__(self, program: "subprocess.Popen[str]", pid: int) -> None:
        self._program = program
        self.pid = pid

    def wait(self) -> int:
        """Exit code, or minus the signal that ended it."""
        return int(self._program.stdout.readline())


class CrawlProcesses:
    """The program's other end."""

    def __init__(self, program: "subprocess.Popen[str]") -> None:
        self._program = program

    def start(self, data_dir: Path, url: str, max_concurrency: int) -> CrawlProcess:
        """Crawl in a process of its own; one at a time."""
        order = {"data_dir": str(data_dir), "url": url, "max_concurrency": max_concurrency}
        self._program.stdin.write(f"{json.dumps(order)}\n")
        self._program.stdin.flush()
        return CrawlProcess(self._program, int(self._program.stdout.readline()))


@contextmanager
def crawl_processes() -> Iterator[CrawlProcesses]:
    """The program, while the `with` lasts."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    command = [sys.executable, __file__]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as program:
        yield CrawlProcesses(program)
        program.stdin.close()


def crawl_once(data_dir: Path, url: str, max_concurrency: int) -> None:
    """Both stages, with small commits, so that a kill meets many of them."""
    from fault_server import CANONICAL_URL

    from bolid_pipeline.scraping.config import CrawlConfig
    from bolid_pipeline.scraping.crawler import crawl_catalogue, crawl_photos
    from bolid_pipeline.scraping.sources.site import open_site
    from bolid_pipeline.storage.photos import PhotoStore
    from bolid_pipeline.storage.tables import TableStore

    config = CrawlConfig(
        base_url=url,
        canonical_url=CANONICAL_URL,
        requests_per_second=10_000.0,
        max_concurrency=max_concurrency,
        photos_per_commit=4,
    )
    tables, photos = TableStore(data_dir), PhotoStore(data_dir)
    tables.recover()
    photos.recover()
    with open_site(config) as source:
        crawl_catalogue(source, tables)
        crawl_photos(source, tables, photos)


def _main() -> None:
    for module in ("crawler", "sources.site"):  # loaded once, before the forks
        importlib.import_module(f"bolid_pipeline.scraping.{module}")
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            try:
                crawl_once(Path(order["data_dir"]), order["url"], order["max_concurrency"])
            except BaseException:  # noqa: BLE001 - the child must not go on as the parent
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(pid, flush=True)  # noqa: T201 - its answer
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    _main()
