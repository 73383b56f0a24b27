"""Photos per second of an unthrottled crawl, against img2dataset; memory over many photos; use of an allowed rate.

    uv run python benchmarks/crawl_throughput.py [--photos 1000] [--sizes 240x320 1000x1400] [--rounds 3] [--threads 4]

A stand-in of the site serves random pictures from a process of its own. The crawl asks for the photo's page,
parses it, asks for the picture, examines it in a worker process (one per core: a strict decode, two perceptual hashes)
and stores it durably; img2dataset (the latest on PyPI, in an environment of its own by `uv tool run`) is given the list
of the pictures' addresses, and downloads with the same number of threads in one process, whose further threads decode.
So each has at most `--threads` requests in flight, and both use all cores. img2dataset is measured twice: as it
comes (decode, resize to 256 px, encode), and told to keep the bytes as they are. They take turns, so that a machine
that others use is the same for all; the ratio is that of the medians, beside the ratio of each round. The catalogue
crawl is not in the figure: img2dataset has its list already. Processor time (this process and its workers) is less
subject to what else the machine does than the pace.
"""

import argparse
import json
import multiprocessing
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

from bodyworld.site.pages import load_world
from bodyworld.site.server import BodyworldSite
from bolid_pipeline.images.decoding import encode_jpeg
from bolid_pipeline.scraping.client import PoliteClient
from bolid_pipeline.scraping.config import BODYWORLD_URL, CrawlConfig
from bolid_pipeline.scraping.crawler import CrawlReport, crawl_catalogue, crawl_photos
from bolid_pipeline.scraping.sources.site import open_site
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore
from bolid_pipeline.workers import run_limited

PHOTOS_PER_GALLERY = 100
UNTHROTTLED = 1e6
WORKERS = run_limited.__module__
RATE = 20.0
GRAIN = 5.0


def main() -> None:
    """Print one line per measurement."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--photos", type=int, default=1000)
    arguments.add_argument("--sizes", nargs="+", default=["240x320", "1000x1400"], metavar="WxH")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=4)
    options = arguments.parse_args()
    for size in options.sizes:
        width_px, height_px = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            world = write_world(Path(folder) / "world", options.photos, width_px, height_px)
            bytes_each = statistics.mean(path.stat().st_size for path in world.glob("photos/*/*.jpg"))
            print(f"{options.photos} photos of {size} px, {bytes_each / 1000:.0f} KB")
            with served(world) as url:
                compare(world, url, options.threads, options.rounds)
    with tempfile.TemporaryDirectory() as folder, served(write_world(Path(folder), 1, 240, 320)) as url:
        print(f"rate allowed {RATE:.0f}/s, reached {measure_rate(url, options.threads):.2f}/s")


def compare(world: Path, url: str, num_threads: int, num_rounds: int) -> None:
    """Photos per second of each, measured in turns."""
    speeds: dict[str, list[float]] = {"bolid": [], "img2dataset": [], "img2dataset, bytes kept": []}
    for number in range(num_rounds):
        speeds["img2dataset"].append(run_img2dataset(world, url, num_threads, keep_bytes=False))
        cpu_before = processor_seconds()
        report, rss_mb = crawl(world.with_name(f"data{number}"), url, num_threads)
        speeds["bolid"].append(report.photos_new / report.seconds)
        cpu_ms = 1000 * (processor_seconds() - cpu_before) / report.photos_new
        speeds["img2dataset, bytes kept"].append(run_img2dataset(world, url, num_threads, keep_bytes=True))
        memory = ", ".join(f"{mb:.0f}" for mb in rss_mb)
        print(f"  processor time {cpu_ms:.1f} ms per photo; memory at each fifth of the crawl: {memory} MB")
    own = statistics.median(speeds["bolid"])
    for name, measured in speeds.items():
        median = statistics.median(measured)
        rounds = ", ".join(f"{speed:.0f}" for speed in measured)
        ratios = ", ".join(
            f"{of_bolid / speed:.2f}" for of_bolid, speed in zip(speeds["bolid"], measured, strict=True)
        )
        print(
            f"  {name:24s} {median:7.1f} photos/s ({rounds}); bolid's are {own / median:.2f} of it ({ratios})"
        )


def processor_seconds() -> float:
    """Processor time that this process and its workers have used so far."""
    workers = (child for child in psutil.Process().children() if WORKERS in child.cmdline())
    return sum(times.user + times.system for times in (p.cpu_times() for p in (psutil.Process(), *workers)))


def write_world(folder: Path, num_photos: int, width_px: int, height_px: int) -> Path:
    """A world of galleries of random pictures, all different."""
    grain = np.random.default_rng(0).normal(0, GRAIN, (height_px, width_px, 1)).astype(np.int16)
    galleries = []
    for start in range(0, num_photos, PHOTOS_PER_GALLERY):
        slug = f"person_{start // PHOTOS_PER_GALLERY:04d}"
        names = [
            f"photos/{slug}/{number}.jpg"
            for number in range(start, min(start + PHOTOS_PER_GALLERY, num_photos))
        ]
        (folder / "photos" / slug).mkdir(parents=True)
        for number, name in enumerate(names, start):
            (folder / name).write_bytes(random_jpeg(number, grain))
        photos = [{"file": name, "width": width_px, "height": height_px} for name in names]
        galleries.append({"slug": slug, "name": slug, "is_person": True, "letter": "P", "photos": photos})
    (folder / "world.json").write_text(json.dumps({"config": {"seed": 0}, "galleries": galleries}))
    return folder


def random_jpeg(seed: int, grain: NDArray[np.int16]) -> bytes:
    """Smooth blocks of colour under a grain (H, W, 1), which makes a JPEG of a photograph's size."""
    blocks = np.random.default_rng(seed).integers(0, 256, (32, 24, 3), dtype=np.uint8)
    smooth = Image.fromarray(blocks).resize((grain.shape[1], grain.shape[0]), Image.Resampling.BICUBIC)
    return encode_jpeg((np.asarray(smooth) + grain).clip(0, 255).astype(np.uint8), quality=85)


@contextmanager
def served(world: Path) -> Iterator[str]:
    """The world's site from another process; gives its address."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(world, there), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def serve(world: Path, parent: Connection) -> None:
    """Serve until terminated."""
    with BodyworldSite(world, missing_originals_fraction=0.0) as site:
        parent.send(site.url)
        threading.Event().wait()


def crawl(data_dir: Path, url: str, num_threads: int) -> tuple[CrawlReport, list[float]]:
    """The report of the photo crawl, and the process' memory in MB at each fifth of it."""
    config = CrawlConfig(
        base_url=url,
        canonical_url=BODYWORLD_URL,
        requests_per_second=UNTHROTTLED,
        max_concurrency=num_threads,
    )
    tables, photos = TableStore(data_dir), PhotoStore(data_dir)
    with open_site(config) as source, sampled_memory() as samples:
        crawl_catalogue(source, tables)
        samples.clear()
        report = crawl_photos(source, tables, photos)
    return report, [samples[(len(samples) - 1) * fifth // 5] for fifth in range(6)]


@contextmanager
def sampled_memory() -> Iterator[list[float]]:
    """Resident memory of this process in MB, ten times a second."""
    samples: list[float] = []
    is_over = threading.Event()

    def sample() -> None:
        while not is_over.wait(0.1):
            samples.append(psutil.Process().memory_info().rss / 2**20)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        is_over.set()
        thread.join()


def run_img2dataset(world: Path, url: str, num_threads: int, *, keep_bytes: bool) -> float:
    """Photos per second, by its own clock from the first download to the last."""
    urls = world.with_name("urls.txt")
    paths = [photo.original_path for gallery in load_world(world).galleries for photo in gallery.photos]
    urls.write_text("\n".join(url + path for path in paths))
    output = world.with_name("img2dataset")
    shutil.rmtree(output, ignore_errors=True)
    settings = {
        "url_list": urls,
        "output_folder": output,
        "processes_count": 1,
        "thread_count": num_threads,
        "number_sample_per_shard": len(paths),
        "user_agent_token": "benchmark",
        **({"resize_mode": "no", "disable_all_reencoding": True} if keep_bytes else {}),
    }
    command = ["uv", "tool", "run", "img2dataset", *(f"--{name}={value}" for name, value in settings.items())]
    subprocess.run(command, check=True, capture_output=True)
    stats = json.loads((output / "00000_stats.json").read_text())
    if stats["successes"] != len(paths):
        raise RuntimeError(f"img2dataset had {stats['successes']} of {len(paths)} pictures")
    return stats["successes"] / (stats["end_time"] - stats["start_time"])


def measure_rate(url: str, num_threads: int) -> float:
    """Requests per second that a client makes of RATE."""
    config = CrawlConfig(base_url=url, requests_per_second=RATE, max_concurrency=num_threads)
    with PoliteClient(config) as client, ThreadPoolExecutor(num_threads) as threads:
        client.get_page(f"{url}/photos/")
        started = time.monotonic()
        num_requests = len(list(threads.map(client.get_page, [f"{url}/photos/"] * 200)))
        return num_requests / (time.monotonic() - started)


if __name__ == "__main__":
    main()
