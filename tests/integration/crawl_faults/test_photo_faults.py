"""What a site can do wrong with the page and the file of one photo, one fault at a time, over real HTTP."""

import gzip
import io
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import limited_work
import picture_files
import pytest
from fault_server import (
    Page,
    Response,
    in_turn,
    original_path,
    photo_page,
    photo_path,
    picture,
    resized_path,
)
from odd_photo import FINE, GOOD, ODD, ODD_PHOTO, QUICK, break_files, encoded
from PIL import Image

from bolid_pipeline.images import examination
from bolid_pipeline.scraping import photo_fetch
from bolid_pipeline.scraping.outcomes import REJECTION_REASONS

DAMAGED_AVIF = picture_files.FILES["avif"].replace(b"pitm", b"free", 1)


def bomb() -> bytes:
    """A few KB that are 41 megapixels when unpacked."""
    target = io.BytesIO()
    Image.new("L", (8_000, 5_125)).save(target, "PNG")
    return target.getvalue()


def test_without_a_fault_all_photos_are_stored(crawl):
    report = crawl.run()
    assert crawl.stored == Counter([*GOOD.values(), ODD_PHOTO])
    assert (report.photos_new, report.rejected, crawl.refused) == (4, {}, {})


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
    "HEIC as jpg": (picture(picture_files.HEIC), "unsupported_type"),
    "an AVIF whose decoder fails": (picture(DAMAGED_AVIF), "truncated"),
    "a JPEG of 497 scans": (picture(picture_files.many_scans(497)), "too_many_scans"),
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


@pytest.mark.parametrize("end", [b"hang", b"crash", b"memory"])
def test_a_file_that_no_decoder_survives_costs_its_photo_alone(crawl, monkeypatch, end):
    monkeypatch.setattr(examination, "_facts", limited_work.examine_badly)
    monkeypatch.setattr(photo_fetch, "examine", partial(examination.examine, seconds=0.3))
    break_files(crawl, picture(ODD_PHOTO + end))
    crawl.run()
    reason = {b"hang": "took_too_long", b"crash": "crashed_decoder", b"memory": "too_much_memory"}[end]
    assert crawl.stored == Counter(GOOD.values())
    assert crawl.refused == {photo_path(ODD): reason}
    crawl.run()
    assert crawl.refused == {photo_path(ODD): reason}


@pytest.mark.parametrize("kind", ["avif", "mpo", "webp"])
def test_a_site_may_send_what_browsers_show(crawl, kind):
    break_files(crawl, picture(picture_files.FILES[kind]))
    crawl.run()
    assert crawl.stored == Counter([*GOOD.values(), picture_files.FILES[kind]])


def test_behind_a_file_that_cannot_be_decoded_the_other_one_is_taken(crawl):
    crawl.site.pages[original_path(ODD)] = picture(DAMAGED_AVIF)
    crawl.run()
    assert crawl.stored == Counter([*GOOD.values(), ODD_PHOTO])
