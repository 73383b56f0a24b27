"""A rendered world in miniature, for the stand-in site and the crawl; an empty crawl; an S3 server."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image
from refresh_process import run_refresh
from small_crawls import Crawl
from stage_watch import STAGES
from upath import UPath

from bodyworld.site.server import BodyworldSite

PEOPLE = sorted((Path(__file__).parent / "people").glob("*.jpg"))
NUM_ANNA_PHOTOS = 14  # more than one grid page


def jpeg(seed: int, width: int = 120, height: int = 160) -> bytes:
    """A small picture that no other seed gives: coarse blocks, so that perceptual hashes differ too."""
    blocks = np.random.default_rng(seed).integers(0, 255, (8, 6, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST).save(target, "JPEG", quality=80)
    return target.getvalue()


def write_world(folder: Path, galleries: list[tuple[str, str, str, bool, dict[str, bytes]]]) -> Path:
    """Galleries as (slug, name, letter, is_person, {file name: bytes}) -> a world folder."""
    listed = []
    for slug, name, letter, is_person, photos in galleries:
        (folder / "photos" / slug).mkdir(parents=True, exist_ok=True)
        for file_name, data in photos.items():
            (folder / "photos" / slug / file_name).write_bytes(data)
        entries = [
            {"file": f"photos/{slug}/{file_name}", "width": 120, "height": 160} for file_name in photos
        ]
        listed.append(
            {"slug": slug, "name": name, "is_person": is_person, "letter": letter, "photos": entries}
        )
    world = {"config": {"seed": 1}, "galleries": listed}
    (folder / "world.json").write_text(json.dumps(world, ensure_ascii=False), encoding="utf-8")
    (folder / "ground_truth.json").write_text('{"secret": "identity vector"}', encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def worlds() -> Callable[..., Path]:
    """`write_world`, for worlds of a test's own."""
    return write_world


@pytest.fixture
def tiny_world(tmp_path: Path) -> Path:
    """Two good galleries (each layout; one has bad files), a film, an empty one, one with a single photo."""
    anna = {f"anna_({number})+x.{number}.jpg": jpeg(number) for number in range(NUM_ANNA_PHOTOS)}
    good = {f"ivan {number}.jpg": jpeg(100 + number) for number in range(4)}
    bad = {
        "truncated.jpg": jpeg(200)[:-500],
        "page.jpg": b"<!DOCTYPE html><html><body>404</body></html>",
        "empty.jpg": b"",
        "twice.jpg": good["ivan 0.jpg"],
        "large.jpg": jpeg(201, 1800, 1350),
    }
    return write_world(
        tmp_path / "world",
        [
            ("anna_p._belle", "Anna Belle", "A", True, anna),
            ("ivan", "Иван Петров", "И", True, good | bad),
            ("night_city", "Night City", "N", False, {"n1.jpg": jpeg(300), "n2.jpg": jpeg(301)}),
            ("nobody", "Nobody", "N", True, {}),
            ("one_photo", "One Photo", "O", True, {"o.jpg": jpeg(302)}),
        ],
    )


@pytest.fixture
def make_site(tiny_world: Path) -> Iterator[Callable[..., BodyworldSite]]:
    """Starts sites over the tiny world and stops them at the end."""
    sites: list[BodyworldSite] = []

    def start(**options: Any) -> BodyworldSite:
        site = BodyworldSite(tiny_world, **options)
        sites.append(site.__enter__())
        return site

    yield start
    for site in sites:
        site.__exit__(None, None, None)


@pytest.fixture
def crawl(tmp_path: Path) -> Crawl:
    return Crawl(tmp_path / "data")


@pytest.fixture(scope="session")
def people_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BodyworldSite]:
    """A site of two people, three small photos each."""
    photos = {path.name: path.read_bytes() for path in PEOPLE[:6]}
    anna, boris = dict(list(photos.items())[:3]), dict(list(photos.items())[3:])
    world = write_world(
        tmp_path_factory.mktemp("world"),
        [("anna", "Anna", "A", True, anna), ("boris", "Boris", "B", True, boris)],
    )
    with BodyworldSite(world, missing_originals_fraction=0.0) as started:
        yield started


@pytest.fixture(scope="session")
def uninterrupted(
    people_site: BodyworldSite, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """A data folder that one refresh made from start to end, and the order of its stages."""
    data_dir = tmp_path_factory.mktemp("uninterrupted") / "data"
    done = run_refresh(data_dir, people_site.url)
    assert done.exit_code == 0, done.output
    assert set(done.stages) == set(STAGES)
    return data_dir, done.stages


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A real S3 server on loopback."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_bucket(s3_endpoint: str, request: pytest.FixtureRequest) -> UPath:
    """A bucket of the test's own."""
    bucket = UPath(
        f"s3://test-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}",
        key="test",
        secret="test",  # noqa: S106 - the server on loopback asks for some
        endpoint_url=s3_endpoint,
        use_listings_cache=False,
    )
    bucket.mkdir()
    return bucket
