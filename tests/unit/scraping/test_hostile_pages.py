"""Pages made to break a parser: malformed addresses, absurd numbers, and what costs time and memory."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from bolid_pipeline.errors import LayoutChanged
from bolid_pipeline.scraping.parsers import (
    parse_cards,
    parse_count,
    parse_gallery_page,
    parse_letter_urls,
    parse_picture_url,
    parse_picture_urls,
)

SITE = "https://www.theplace.ru"
GALLERY = f"{SITE}/photos/anna/"
ALL_PARSERS = (parse_letter_urls, parse_cards, parse_gallery_page, parse_picture_urls)

MALFORMED = (
    "//[x",
    "http://[::1",
    "http://a]/",
    "//\u2100.example/",  # NFKC makes an "a/c" of the letter, which is no host
    "http://[" + "1:" * 5000,
    "/photos/" + "x" * 5000,
)


def gallery(grid: str, name: str = "Anna", count: str = "") -> bytes:
    return (
        f'<div class="main-col-content"><h1 class="my-3">{name}</h1><div class="d-none d-sm-block"><p>{count}</p></div>'
        f'<div class="row gx-1 justify-content-center">{grid}</div></div>'
    ).encode()


def links(*addresses: str) -> str:
    return "".join(f'<a href="{address}"><img src="t.jpg"></a>' for address in addresses)


@pytest.mark.parametrize("address", MALFORMED)
def test_a_malformed_address_is_left_out_and_the_others_are_taken(address):
    letters = f'<div class="letters-list">{links(address, "/photos/celebs/A/", address)}</div>'.encode()
    assert parse_letter_urls(letters, f"{SITE}/photos/") == (f"{SITE}/photos/celebs/A/",)
    cards = f'<div class="models_list">{links(address, "/photos/anna/")}</div>'.encode()
    assert [card.identity for card in parse_cards(cards, f"{SITE}/photos/celebs/A/")] == ["anna"]
    pager = f'<div class="listalka">{links(address, "?page=2")}</div>'
    page = parse_gallery_page(gallery(links(address, "pic-1.html")) + pager.encode(), GALLERY)
    assert page.photo_page_urls == (f"{GALLERY}pic-1.html",)
    assert page.linked_pages == {2: f"{GALLERY}?page=2"}
    redesigned = f"<h1>Anna</h1>{links(address, 'pic-1.html')}".encode()
    assert parse_gallery_page(redesigned, GALLERY).photo_page_urls == (f"{GALLERY}pic-1.html",)
    pictures = f'<div class="pic-big-box"><img src="{address}"><img src="/cache/a.jpg"></div>'.encode()
    assert parse_picture_url(pictures, f"{GALLERY}pic-1.html") == f"{SITE}/cache/a.jpg"


def test_left_out_addresses_are_counted(caplog):
    parse_gallery_page(gallery(links(*MALFORMED, "pic-1.html")), GALLERY)
    assert f"{GALLERY}: {len(MALFORMED)} addresses cannot be read" in caplog.text


def test_a_page_of_malformed_addresses_alone_is_a_changed_layout():
    page = f'<div class="letters-list">{links(*MALFORMED)}</div>'.encode()
    with pytest.raises(LayoutChanged):
        parse_letter_urls(page, f"{SITE}/photos/")
    page = f'<div class="pic-big-box"><img src="{MALFORMED[0]}"></div>'.encode()
    with pytest.raises(LayoutChanged, match="address that cannot be read"):
        parse_picture_url(page, f"{GALLERY}pic-1.html")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Фото 89161234567 шт", None),  # a telephone number
        ("Фото 99999999999999999999 шт", None),
        (f"Фото {'9' * 5000} шт", None),
        ("1 " * 3000, 1),
        ("123 " + "456 " * 3000, None),
        ("тел. 89161234567, фото 24", 24),
        ("Фото 2147483647 шт", 2147483647),
        ("Фото 2147483648 шт", None),
        ("Фото ٢٤ шт", 24),  # Arabic digits
        ("Фото ²⁴ шт", None),  # superscripts are no decimal digits
        ("Фото -24 шт", 24),
    ],
)
def test_numbers_that_cannot_count_photos_are_none(text, count):
    assert parse_count(text) == count
    stated = parse_gallery_page(gallery(links("pic-1.html"), count=text), GALLERY).stated_photos
    assert stated is None or stated == count


@pytest.mark.parametrize("number", ["9" * 5000, "٣", "²", "-1", "1e9", "", "0", "007", "99999999999"])
def test_page_numbers_may_be_nonsense(number):
    page = (
        gallery(links("pic-1.html")) + f'<div class="listalka"><a href="?page={number}">x</a></div>'.encode()
    )
    assert all(1 < n < 10**6 for n in parse_gallery_page(page, GALLERY).linked_pages)


def seconds(parse: Callable[[bytes, str], Any], page: bytes) -> float:
    """Processor time of a call, whatever comes of it."""
    started = time.process_time()
    with contextlib.suppress(LayoutChanged):
        parse(page, GALLERY)
    return time.process_time() - started


@pytest.mark.parametrize(
    "name",
    [
        "( " * 15_000,
        "( " * 1_500_000,
        "(" * 3_000_000,
        "(x " * 1_000_000 + "фильм",
        "(" + " " * 3_000_000 + ")",
    ],
    ids=["case F5a", "100 times that", "brackets", "words", "blanks"],
)
def test_a_long_name_is_read_in_milliseconds_and_cut(name):
    page = gallery(links("pic-1.html"), name=name)
    assert seconds(parse_gallery_page, page) < 0.5
    assert len(parse_gallery_page(page, GALLERY).name) <= 200


ROW = '<div class="row gx-1 justify-content-center models_list letters-list listalka pic-big-box gallery-pics-list">'
MEGABYTES = {
    "links": links(*(f"/photos/p{n}/" for n in range(60_000))),
    "links in nested grids": ROW * 200 + '<a href="/photos/celebs/x">x</a>' * 60_000,
    "grids": (ROW + '<a href="/a"><img src="b"></a></div>') * 20_000,
    "nested grids": ROW * 30_000,
    "nested elements": "<div>" * 1_000_000,
    "elements never closed": "<p><b><i>" * 300_000,
    "closed elements": "</div>" * 500_000,
    "cards in cards": '<div class="model-item"><a class="model-link" href="/photos/a/"><div>' * 30_000,
    "malformed addresses": links(*["//[x"] * 60_000),
    "long addresses": links(*["/photos/" + "a%20" * 1000] * 800),
    "percent signs": links(*["%" * 4000] * 800),
    "texts": ROW + "<p>1 </p>" * 300_000,
    "numbers": f'<div class="main-col-content"><div class="d-none d-sm-block"><p>{"1 234 " * 500_000}',
    "dots and thumbs": links(*["/cache" + "-gthumb-.a" * 400] * 800),
    "ages in addresses": links(*["gallery.php?" + "id=1&" * 800] * 800),
    "comments": "<!--" * 800_000,
    "classes": f'<div class="{"row " * 800_000}">',
    "robots": '<meta name="robots" content="noindex,noindex">' * 70_000,
    "angle brackets": "<" * 3_000_000,
    "entities": "&lt;&#0;&#xD800;&nbsp;" * 150_000,
}


@pytest.mark.parametrize("page", MEGABYTES.values(), ids=MEGABYTES.keys())
@pytest.mark.parametrize("parse", ALL_PARSERS)
def test_megabytes_of_anything_are_read_in_time(parse, page):
    assert seconds(parse, page.encode()) < 4.0


def test_a_page_that_declares_its_encoding_again_and_again_is_read_in_time():
    page = b"<meta charset" * 600_000 + b"\xff"
    assert seconds(parse_gallery_page, page) < 1.0
