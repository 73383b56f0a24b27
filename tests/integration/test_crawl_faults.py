"""Faults of a site's answers and files, one at a time, over real HTTP.

Every crawl is a whole one, of a gallery of three good photos and one whose file, page or host misbehaves. It
ends with exactly the right photos stored and the right reason recorded.
"""

import gzip
import hashlib
import io
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_server import (
    CANONICAL_URL,
    FaultySite,
    Page,
    Response,
    gallery,
    gallery_path,
    in_turn,
    original_path,
    photo_page,
    photo_path,
    picture,
    resized_path,
)
from PIL import Image

from bolid_pipeline.errors import DownloadFailed, RobotsDenied, ScrapingError, SourceUnreachable
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.crawler import CrawlReport, crawl_catalogue, crawl_photos
from bolid_pipeline.scraping.outcomes import REJECTION_REASONS
from bolid_pipeline.scraping.sources.site import open_site
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore

ODD = "odd"


def encoded(seed: int, kind: str = "JPEG", **options: Any) -> bytes:
    """A small picture that no other seed gives."""
    blocks = np.random.default_rng(seed).integers(0, 255, (8, 6, 3), dtype=np.uint8)
    target = io.BytesIO()
    image = Image.fromarray(blocks).resize((96, 128), Image.Resampling.NEAREST)
    image.convert(options.pop("mode", "RGB")).save(target, kind, **options)
    return target.getvalue()


def bomb() -> bytes:
    """A few KB that are 41 megapixels when unpacked."""
    target = io.BytesIO()
    Image.new("L", (8_000, 5_125)).save(target, "PNG")
    return target.getvalue()


GOOD = {"a": encoded(1), "b": encoded(2), "c": encoded(3)}
ODD_PHOTO = encoded(4)


class Crawl:
    """A data folder, the site, and the two stages over it."""

    def __init__(self, data_dir: Path, pages: Mapping[str, Page]) -> None:
        self.data_dir = data_dir
        self.tables = TableStore(data_dir)
        self.photos = PhotoStore(data_dir)
        self.site = FaultySite(pages)

    def run(self, **options: Any) -> CrawlReport:
        """The report of the photos; the catalogue's is only looked at for what stopped it."""
        manners: dict[str, Any] = {
            "base_url": self.site.url,
            "canonical_url": CANONICAL_URL,
            "requests_per_second": 1000.0,
            "max_retries": 2,
            "backoff_seconds": 0.01,
        }
        with open_site(CrawlConfig(**(manners | options))) as source:
            crawl_catalogue(source, self.tables)
            return crawl_photos(source, self.tables, self.photos)

    @property
    def stored(self) -> Counter[bytes]:
        """The stored photos' bytes, each looked up through its row; no file is there without one."""
        rows = self.tables.read("raw_photos").to_pylist()
        files = {str(path.relative_to(self.data_dir)) for path in self.data_dir.glob("photos/*/*")}
        assert files == {row["path"] for row in rows}
        assert all(
            hashlib.sha256(self.photos.read(row["path"])).hexdigest() == row["photo_id"] for row in rows
        )
        return Counter(self.photos.read(row["path"]) for row in rows)

    @property
    def refused(self) -> dict[str, str]:
        """Photo page -> reason."""
        rows = self.tables.read("rejected_downloads").to_pylist()
        return {row["page_url"].removeprefix(CANONICAL_URL): row["reason"] for row in rows}


@pytest.fixture
def crawl(tmp_path: Path):
    crawl = Crawl(tmp_path / "data", gallery(GOOD | {ODD: ODD_PHOTO}))
    with crawl.site:
        yield crawl


def break_files(crawl: Crawl, page: Page) -> None:
    """Both files of the odd photo answer so."""
    crawl.site.pages[original_path(ODD)] = crawl.site.pages[resized_path(ODD)] = page


def test_without_a_fault_all_photos_are_stored(crawl):
    report = crawl.run()
    assert crawl.stored == Counter([*GOOD.values(), ODD_PHOTO])
    assert (report.photos_new, report.rejected, crawl.refused) == (4, {}, {})


QUICK = {"read_timeout_seconds": 0.5, "max_retries": 1}
LASTING_FAULTS: dict[str, tuple[Page, str]] = {
    "404": (Response(status=404), "not_found"),
    "410": (Response(status=410), "not_found"),
    "403": (Response(status=403), "forbidden"),
    "418": (Response(status=418), "http_error"),
    "429 without Retry-After": (Response(status=429), "unreachable"),
    "500 for good": (Response(status=500), "unreachable"),
    "503 for good": (Response(status=503), "unreachable"),
    "connection reset": (Response(delivery="reset"), "unreachable"),
    "hang": (Response(delivery="hang"), "timeout"),
    "shorter than stated": (Response(body=ODD_PHOTO[:500], stated_length=len(ODD_PHOTO)), "broken_body"),
    "longer than stated": (Response(body=ODD_PHOTO, stated_length=500), "truncated"),
    "not gzip though it says so": (
        Response(body=ODD_PHOTO, headers={"Content-Encoding": "gzip"}),
        "broken_body",
    ),
    "truncated file": (picture(ODD_PHOTO[:-300]), "truncated"),
    "overwritten inside": (picture(ODD_PHOTO[:800] + bytes(200) + ODD_PHOTO[1000:]), "truncated"),
    "half a CMYK file": (picture(encoded(4, mode="CMYK")[:-300] + b"\xff\xd9"), "truncated"),
    "HTML as jpg": (picture(b"<!DOCTYPE html><html><body>no hotlinks</body></html>"), "not_a_picture"),
    "empty body": (picture(b""), "empty"),
    "GIF as jpg": (picture(encoded(4, "GIF")), "unsupported_type"),
    "BMP as jpg": (picture(encoded(4, "BMP")), "unsupported_type"),
    "41 MP bomb": (picture(bomb()), "too_many_pixels"),
    "stated length over the bound": (Response(body=b"x", stated_length=10**12), "too_large"),
    "body over the bound": (picture(ODD_PHOTO + bytes(50_000)), "too_large"),
    "gzip bomb": (
        Response(body=gzip.compress(bytes(50 * 2**20)), headers={"Content-Encoding": "gzip"}),
        "too_large",
    ),
    "redirect in a circle": (
        Response(status=302, headers={"Location": resized_path(ODD)}),
        "too_many_redirects",
    ),
    "redirect to an internal address": (
        Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"}),
        "foreign_host",
    ),
    "redirect to another host": (
        Response(status=301, headers={"Location": "https://example.org/a.jpg"}),
        "foreign_host",
    ),
    "redirect to a file": (Response(status=302, headers={"Location": "file:///etc/passwd"}), "foreign_host"),
    "redirect to no address": (Response(status=302, headers={"Location": "http://[/"}), "http_error"),
    "redirect without an address": (Response(status=302), "http_error"),
    "noai": (Response(body=ODD_PHOTO, headers={"X-Robots-Tag": "noindex, noai"}), "no_ai"),
    "noimageai for this crawler": (
        Response(body=ODD_PHOTO, headers={"X-Robots-Tag": "BoLID-crawler: noimageai"}),
        "no_ai",
    ),
}


@pytest.mark.parametrize(("page", "reason"), LASTING_FAULTS.values(), ids=LASTING_FAULTS.keys())
def test_a_file_that_cannot_be_had_is_named_and_never_stored(crawl, page, reason):
    break_files(crawl, page)
    report = crawl.run(**QUICK, max_body_bytes=50_000)
    assert crawl.stored == Counter(GOOD.values())
    assert crawl.refused == {photo_path(ODD): reason}
    assert (report.photos_new, report.rejected) == (3, {reason: 1})
    assert report.rejected.keys() <= REJECTION_REASONS


@pytest.mark.parametrize("delivery", ["drip", "drip_headers"])
def test_a_file_that_drips_is_left_at_its_deadline(crawl, delivery):
    break_files(crawl, Response(body=ODD_PHOTO, delivery=delivery))
    crawl.run(download_deadline_seconds=1.0)
    assert crawl.stored == Counter(GOOD.values())
    assert crawl.refused == {photo_path(ODD): "deadline"}


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (Response(status=403), "forbidden"),
        (Response(status=404), "not_found"),
        (Response(delivery="reset"), "unreachable"),
        (Response(delivery="hang"), "timeout"),
        (Response(headers={"X-Robots-Tag": "noai"}), "no_ai"),
        (
            Response(body=gzip.compress(bytes(50 * 2**20)), headers={"Content-Encoding": "gzip"}),
            "too_large",
        ),
    ],
)
def test_so_is_a_photo_page(crawl, page, reason):
    crawl.site.pages[photo_path(ODD)] = page
    crawl.run(**QUICK, max_page_bytes=2**20)
    assert crawl.stored == Counter(GOOD.values())
    assert crawl.refused == {photo_path(ODD): reason}


def http_date(seconds_from_now: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds_from_now), usegmt=True)


FINE = picture(ODD_PHOTO)
PASSING_FAULTS: dict[str, Callable[[], Page]] = {
    "429 with Retry-After in seconds": lambda: in_turn(
        Response(status=429, headers={"Retry-After": "1"}), FINE
    ),
    "503 with Retry-After as a date": lambda: in_turn(
        Response(status=503, headers={"Retry-After": http_date(1)}), FINE
    ),
    "Retry-After of nonsense": lambda: in_turn(Response(status=503, headers={"Retry-After": "soon"}), FINE),
    "Retry-After in the past": lambda: in_turn(
        Response(status=503, headers={"Retry-After": http_date(-60)}), FINE
    ),
    "burst of 500 and 503": lambda: in_turn(Response(status=500), Response(status=503), FINE),
    "one reset": lambda: in_turn(Response(delivery="reset"), FINE),
    "one hang": lambda: in_turn(Response(delivery="hang"), FINE),
    "one short body": lambda: in_turn(Response(body=ODD_PHOTO[:500], stated_length=len(ODD_PHOTO)), FINE),
    "not for another robot": lambda: Response(
        body=ODD_PHOTO, headers={"X-Robots-Tag": "otherbot: noai, noimageai"}
    ),
    "stated as HTML": lambda: Response(body=ODD_PHOTO),
    "packed though unasked": lambda: Response(
        body=gzip.compress(ODD_PHOTO), headers={"Content-Encoding": "gzip"}
    ),
    "moved within the site": lambda: Response(status=301, headers={"Location": original_path("moved")}),
}


@pytest.mark.parametrize("make_page", PASSING_FAULTS.values(), ids=PASSING_FAULTS.keys())
def test_a_fault_that_passes_costs_no_photo(crawl, make_page):
    crawl.site.pages[original_path("moved")] = FINE
    crawl.site.pages[original_path(ODD)] = make_page()
    report = crawl.run(read_timeout_seconds=0.5)
    assert crawl.stored == Counter([*GOOD.values(), ODD_PHOTO])
    assert (report.photos_new, crawl.refused) == (4, {})
    assert crawl.site.num_requests(resized_path(ODD)) == 0


@pytest.mark.parametrize(
    ("kind", "content_type"), [("PNG", "image/png"), ("WEBP", "image/webp"), ("JPEG", "image/jpeg")]
)
def test_a_file_is_what_its_content_says_whatever_its_name(crawl, kind, content_type):
    data = encoded(4, kind, **({"lossless": True} if kind == "WEBP" else {}))
    break_files(crawl, picture(data))
    crawl.run()
    assert crawl.stored[data] == 1
    (row,) = [
        row
        for row in crawl.tables.read("raw_photos").to_pylist()
        if row["page_url"].endswith(photo_path(ODD))
    ]
    extension = {"image/jpeg": "jpg"}.get(content_type, kind.lower())
    assert (row["content_type"], row["path"].rpartition(".")[2]) == (content_type, extension)


@pytest.mark.parametrize(
    "original",
    [Response(status=404), Response(status=403), picture(b""), picture(ODD_PHOTO[:-300]), picture(b"<html>")],
    ids=["404", "403", "empty", "truncated", "HTML"],
)
def test_where_the_original_is_bad_the_resized_file_serves(crawl, original):
    crawl.site.pages[original_path(ODD)] = original
    crawl.run()
    assert crawl.stored == Counter([*GOOD.values(), ODD_PHOTO])
    assert crawl.refused == {}


def test_a_picture_on_another_host_is_not_fetched(crawl):
    crawl.site.pages[photo_path(ODD)] = photo_page("http://10.0.0.1/a.jpg")
    crawl.run()
    assert crawl.stored == Counter(GOOD.values())
    assert crawl.refused == {photo_path(ODD): "foreign_host"}


def test_a_host_that_wants_quiet_for_hours_ends_the_run_and_the_next_one_goes_on(crawl):
    busy = Response(status=503, headers={"Retry-After": "7200"})
    crawl.site.pages[photo_path(ODD)] = busy
    report = crawl.run(max_concurrency=1)
    assert "asks for 7200 s of quiet" in report.stopped_by
    assert crawl.stored == Counter(GOOD.values())
    assert crawl.site.log[-1].path == photo_path(ODD)

    crawl.site.pages[photo_path(ODD)] = photo_page(resized_path(ODD))
    report = crawl.run()
    assert (report.photos_new, report.stopped_by) == (1, None)
    assert crawl.stored == Counter([*GOOD.values(), ODD_PHOTO])


def test_a_spent_budget_ends_the_run_and_the_next_one_goes_on(crawl):
    """Six requests: four for robots.txt and the catalogue, two for one photo."""
    for num_stored in range(1, 5):
        report = crawl.run(max_requests=6, max_concurrency=1)
        assert sum(crawl.stored.values()) == num_stored
        assert (report.stopped_by is None) == (num_stored == 4)
    assert crawl.stored == Counter([*GOOD.values(), ODD_PHOTO])
    assert crawl.refused == {}
    assert all(crawl.site.num_requests(original_path(name)) == 1 for name in (*GOOD, ODD))


def test_a_clock_that_goes_back_harms_nothing(crawl, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3600 * len(crawl.site.log))
    break_files(crawl, in_turn(Response(status=503), Response(status=500), FINE))
    report = crawl.run()
    assert crawl.stored == Counter([*GOOD.values(), ODD_PHOTO])
    assert (report.photos_new, crawl.refused) == (4, {})


def test_robots_txt_that_forbids_the_pages_ends_the_crawl_before_it_begins(crawl):
    crawl.site.pages["/robots.txt"] = Response(body=b"User-agent: BoLID-crawler\nDisallow: /photos/\n")
    with pytest.raises(RobotsDenied):
        crawl.run()
    assert [request.path for request in crawl.site.log] == ["/robots.txt"]


def test_one_picture_that_robots_txt_forbids_is_named(crawl):
    rules = f"User-agent: *\nDisallow: {original_path(ODD)}\nDisallow: {resized_path(ODD)}\n"
    crawl.site.pages["/robots.txt"] = Response(body=rules.encode())
    crawl.run()
    assert crawl.stored == Counter(GOOD.values())
    assert crawl.refused == {photo_path(ODD): "robots_denied"}


@pytest.mark.parametrize(
    "answer", [Response(status=404), Response(body=b"\x00\xff" * 500), Response(status=403)]
)
def test_robots_txt_that_is_missing_or_garbage_forbids_nothing(crawl, answer):
    crawl.site.pages["/robots.txt"] = answer
    assert crawl.run().photos_new == 4


@pytest.mark.parametrize(
    "answer", [Response(status=503), Response(delivery="reset"), Response(delivery="hang")]
)
def test_robots_txt_that_cannot_be_read_forbids_everything(crawl, answer):
    crawl.site.pages["/robots.txt"] = answer
    with pytest.raises(SourceUnreachable, match=r"robots\.txt"):
        crawl.run(**QUICK)
    assert {request.path for request in crawl.site.log} == {"/robots.txt"}


def test_a_site_that_breaks_down_ends_the_crawl_and_the_next_one_goes_on(crawl):
    names = {f"p{number}": encoded(100 + number) for number in range(8)}
    crawl.site.pages |= gallery(GOOD | names)
    for name in names:
        crawl.site.pages[photo_path(name)] = Response(status=500)
    with pytest.raises(ScrapingError):
        crawl.run(max_retries=0)
    assert crawl.stored == Counter(GOOD.values())
    crawl.site.pages |= gallery(GOOD | names)
    crawl.run()
    assert crawl.stored == Counter([*GOOD.values(), *names.values()])
    assert crawl.refused == {}


def test_a_name_that_suddenly_leads_into_a_private_network_is_not_followed(crawl, monkeypatch):
    """DNS rebinding: the public name of the site answers with an internal address."""
    port = int(crawl.site.url.rpartition(":")[2])
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **more: resolve("127.0.0.1", *rest, **more))
    with pytest.raises(DownloadFailed) as failure:
        crawl.run(base_url=f"http://gallery.invalid:{port}")
    assert failure.value.reason == "internal_address"
    assert crawl.site.log == []


def test_a_gallery_behind_a_fault_is_had_by_the_next_crawl(crawl):
    crawl.site.pages[gallery_path("anna")] = Response(status=503)
    with pytest.raises(SourceUnreachable):
        crawl.run(max_retries=0)
    crawl.site.pages |= gallery(GOOD)
    crawl.run()
    assert crawl.stored == Counter(GOOD.values())
