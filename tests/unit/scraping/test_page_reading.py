"""Pages are parsed within limits, whatever a site's parsers do."""

import time

import pytest

from bolid_pipeline.errors import DownloadFailed, LayoutChanged
from bolid_pipeline.scraping.page_reading import read_page
from bolid_pipeline.scraping.parsers import parse_gallery_page, parse_picture_urls

URL = "https://gallery.example/photos/anna/"
LARGE = b"<h1>Anna</h1>" + b" " * 100_000


@pytest.mark.parametrize("page", [b"<h1>Anna</h1>", LARGE], ids=["small", "large"])
def test_a_page_of_any_size_is_read(page):
    assert read_page(parse_gallery_page, page, URL).name == "Anna"


@pytest.mark.parametrize("page", [b"<p>new look</p>", LARGE], ids=["small", "large"])
def test_a_page_that_holds_nothing_known_is_a_changed_layout_with_its_bytes(page):
    with pytest.raises(LayoutChanged, match="no picture") as failure:
        read_page(parse_picture_urls, page, URL)
    assert (failure.value.page_url, failure.value.html) == (URL, page)


def test_a_page_that_takes_too_long_is_left_at_its_limit():
    """libxml2 compares each attribute of a tag with all others."""
    attributes = " ".join(f"{n:x}a" for n in range(200_000))
    started = time.monotonic()
    with pytest.raises(DownloadFailed) as failure:
        read_page(parse_gallery_page, f"<a {attributes}>".encode(), URL, seconds=0.3)
    assert failure.value.reason == "took_too_long"
    assert time.monotonic() - started < 10


def fail(html: bytes, _: str) -> str:
    raise {b"a": AttributeError("no h1"), b"r": RecursionError("too deep")}.get(html[:1], MemoryError())


@pytest.mark.parametrize("page", [b"a", b"r", b"m", b"a" * 100_000, b"m" * 100_000])
def test_whatever_a_parser_raises_names_the_parser_and_the_page(page):
    with pytest.raises(LayoutChanged, match=r"photos/anna/: .*\.fail cannot read the page") as failure:
        read_page(fail, page, URL)
    assert failure.value.html == page
