"""kill -9 at random moments of a crawl, and what the next crawls make of it."""

import hashlib
import io
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import fork_server
import numpy as np
import pytest
from crawl_process import crawl
from fault_server import (
    FaultySite,
    Page,
    Request,
    Response,
    gallery,
    index_page,
    letter_page,
    letter_path,
    original_path,
    resized_path,
)
from PIL import Image

from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.tables import TableStore

NUM_KILLS = 20
NUM_PHOTOS = 40
TIMES = {"refreshed_at", "listed_at", "vanished_at", "checked_at", "fetched_at"}


def jpeg(seed: int) -> bytes:
    blocks = np.random.default_rng(seed).integers(0, 255, (8, 6, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(blocks).resize((48, 64), Image.Resampling.NEAREST).save(target, "JPEG", quality=80)
    return target.getvalue()


def two_people() -> dict[str, Page]:
    """Two galleries with everything that keeps the order of decisions in mind: a photo twice, one under both people,
    a placeholder, a broken file, a missing original, one that is gone."""
    pages: dict[str, Page] = {}
    for number, slug in enumerate(("anna", "boris")):
        photos = {f"{slug}_{i}": jpeg(1000 * number + i) for i in range(NUM_PHOTOS)}
        photos[f"{slug}_7"] = photos[f"{slug}_3"]
        photos[f"{slug}_9"] = jpeg(4)  # anna's, on page 4
        for i in (12, 20, 31):
            photos[f"{slug}_{i}"] = b"GIF89a, or so it says" if i == 20 else jpeg(5000)
        photos[f"{slug}_15"] = photos[f"{slug}_15"][:-300]
        pages |= gallery(photos, slug=slug, name=slug.title())
        pages[original_path(f"{slug}_17", slug)] = Response(status=404)
        for path in (original_path(f"{slug}_23", slug), resized_path(f"{slug}_23", slug)):
            pages[path] = Response(status=404)
    people = letter_page({"anna": "Anna", "boris": "Boris"})
    return pages | {"/photos/": index_page(["A"]), letter_path("A"): people}


class LoggedSite(FaultySite):
    """Knows which pictures were asked for, and tells when the n-th request from now comes in."""

    def __init__(self, pages: dict[str, Page]) -> None:
        super().__init__(pages)
        self.bodies_sent: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.arrived = threading.Event()
        self.go_on = threading.Event()
        self._countdown: Iterator[int] = iter(())
        self._is_held = False
        self._lock_of_count = threading.Lock()

    def respond(self, request: Request) -> Response:
        with self._lock_of_count:
            is_the_one = next(self._countdown, None) == 1
        if is_the_one:
            self.arrived.set()
            if self._is_held:
                self.go_on.wait()
                return Response(delivery="reset")
        response = super().respond(request)
        if "/archive/" in request.path or "/pic-" in request.path:
            with self._lock_of_count:
                self.answered[request.path] += 1
        if "/archive/" in request.path and response.status == 200:
            with self._lock_of_count:
                self.bodies_sent[request.path] += 1
        return response

    def count_down(self, num_requests: int, *, hold: bool) -> None:
        """Set `arrived` at that request; hold its answer back until `go_on` is set, then never give it."""
        self.arrived.clear()
        self.go_on.clear()
        self._is_held = hold
        self._countdown = iter(range(num_requests, 0, -1))


def start_crawl(data_dir: Path, site: LoggedSite, threads: int) -> ForkServerProcess:
    log = data_dir.with_suffix(".log")
    return fork_server.start(crawl, data_dir, site.url, threads, output=log)


def crawl_to_the_end(data_dir: Path, site: LoggedSite, threads: int) -> None:
    crawling = start_crawl(data_dir, site, threads)
    crawling.join()
    assert crawling.exitcode == 0, data_dir.with_suffix(".log").read_text()


@pytest.fixture
def site() -> Iterator[LoggedSite]:
    with LoggedSite(two_people()) as running:
        yield running


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> dict[str, Any]:
    """The content of the data folder after an undisturbed crawl with one thread."""
    data_dir = tmp_path_factory.mktemp("uninterrupted") / "data"
    with LoggedSite(two_people()) as site:
        crawl_to_the_end(data_dir, site, 1)
    return contents(data_dir)


def contents(data_dir: Path) -> dict[str, Any]:
    """All rows but their times, and all files outside of the tables with their hashes."""
    tables = TableStore(data_dir)
    rows = {
        table: sorted(
            (
                {name: value for name, value in row.items() if name not in TIMES}
                for row in tables.read(table).to_pylist()
            ),
            key=lambda row: row[SCHEMAS[table].key],
        )
        for table in tables.names
    }
    files = [path for path in data_dir.rglob("*") if path.is_file() and "tables" not in path.parts]
    return rows | {
        str(path.relative_to(data_dir)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def crawl_and_kill(
    site: LoggedSite, data_dir: Path, draw: random.Random, *, threads: int, hold: bool
) -> bool:
    """Kill a crawl around the arrival of a random request; False where the crawl was done before."""
    site.count_down(draw.randint(1, 24), hold=hold)
    crawling = start_crawl(data_dir, site, threads)
    done = threading.Event()

    def wait() -> None:
        crawling.join()
        done.set()
        site.arrived.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    site.arrived.wait()
    if not hold:
        done.wait(draw.uniform(0.0, 0.04))  # so that kills also fall between requests
    if not done.is_set():
        crawling.kill()
    waiting.join()
    site.go_on.set()
    assert crawling.exitcode in (0, -signal.SIGKILL)
    return crawling.exitcode != 0


def test_a_crawl_killed_20_times_at_an_arriving_request_ends_as_if_never_killed_and_asks_for_nothing_twice(
    site, uninterrupted, tmp_path
):
    draw = random.Random(3)
    data_dir = tmp_path / "data"
    kills = [crawl_and_kill(site, data_dir, draw, threads=1, hold=True) for _ in range(NUM_KILLS)]
    assert all(kills)
    crawl_to_the_end(data_dir, site, 1)
    assert contents(data_dir) == uninterrupted
    assert max(site.answered.values()) == 1


def test_with_four_threads_killed_at_any_moment_only_what_was_in_flight_is_asked_for_again(
    site, uninterrupted, tmp_path
):
    draw = random.Random(4)
    data_dir, threads = tmp_path / "data", 4
    on_disk: set[str] = set()
    for _ in range(NUM_KILLS):
        sent_before = Counter(site.bodies_sent)
        assert crawl_and_kill(site, data_dir, draw, threads=threads, hold=False)
        fetched_now = (site.bodies_sent - sent_before).keys()
        assert not {photo_id_of(site, path) for path in fetched_now} & on_disk - shared_ids(site)
        on_disk = {path.stem for path in data_dir.glob("photos/*/[!.]*")}
    crawl_to_the_end(data_dir, site, threads)
    assert contents(data_dir) == uninterrupted
    assert sum(site.answered.values()) - len(site.answered) <= NUM_KILLS * threads


def photo_id_of(site: LoggedSite, path: str) -> str:
    page = site.pages[path]
    assert isinstance(page, Response)
    return hashlib.sha256(page.body).hexdigest()


def shared_ids(site: LoggedSite) -> set[str]:
    """Photos that several addresses hold: each address is asked for once."""
    ids = Counter(photo_id_of(site, path) for path in site.pages if path.startswith("/archive/"))
    return {photo_id for photo_id, count in ids.items() if count > 1}
