"""Damaged and hostile pages of every kind: each is read or a ScrapingError, in bounded time and memory.

`pytest tests/integration/test_fuzzed_pages.py --long 60` goes on for an hour.
"""

import time
from collections import Counter
from contextlib import suppress
from urllib.parse import urlsplit

import numpy as np
from fault_server import gallery_page, index_page, letter_page, photo_page
from small_crawls import grid_page
from worker_processes import worker_processes

from bolid_pipeline.errors import ScrapingError
from bolid_pipeline.records import MAX_COUNT, GalleryPage, IdentityRecord
from bolid_pipeline.scraping import parsers
from bolid_pipeline.scraping.page_reading import read_page
from bolid_pipeline.scraping.rate_limiter import RateLimiter
from bolid_pipeline.scraping.robots import RobotsTxt

ROUNDS_IN_CI = 100
SECONDS_PER_PAGE = 3.0
MEMORY_BYTES = 10**9
SITE = "https://www.theplace.ru"
GALLERY = f"{SITE}/photos/anna/"

CP1251 = """<html><head><meta http-equiv="Content-Type" content="text/html; charset=windows-1251"></head><body>
<h1>Анна Бель</h1><a href="/photos/celebs-%C0.html">А</a><td><a href="/photos/Anna-Belle-mid123.html">Анна</a></td>
<div class="gallery-pics-list"><div class="pic_box"><a href="/photos/photo-9001.html"><img src="/a_s.jpg"></a></div>
</div><div class="listalka ltop"><a href="/photos/gallery.php?id=123&page=2">2</a></div></body></html>""".encode(
    "cp1251"
)
GRID_2022 = b"""<h1 class="my-3">Anna</h1><div class="main-col-content">
<div class="d-none d-sm-block"><p>9 x</p></div></div>
<a class="photos-pic-card__link" href="pic-1.html"></a><div class="p-1"><div class="gallery-photo-card">
<a href="pic-2.html"></a></div></div><section><a href="/photos/anna/pic-3.html"><b><img src="t"></b></a></section>"""

PAGES = {
    "index": index_page("ABCЯ").body,
    "letter": letter_page({f"person_{n}": f"Person {n}" for n in range(8)}).body,
    "gallery": gallery_page([f"p{n}" for n in range(8)]).body,
    "gallery with pages": grid_page(["a", "b"], range(1, 9), stated=1234).body,
    "gallery of 2022": GRID_2022,
    "pages of 2013": CP1251,
    "photo page": photo_page("/cache/archive/anna/img/a-gthumb-gwdata1600.jpg").body,
}
ROBOTS = b"User-agent: *\nCrawl-delay: 1\nDisallow: /private/\nAllow: /*.jpg$\nUser-agent: r\nDisallow: /x\n"
NONSENSE = [
    b"//[x",
    b'href="http://[::1"',
    b'src="//\xe2\x84\x80/"',
    b"( ",
    b"<a href=",
    b'<a href="/photos/x/"><img src="y">',
    b'<div class="models_list letters-list listalka pic-big-box gallery-pics-list row gx-1 justify-content-center">',
    b"<div>",
    b"<h1 class=my-3>",
    b"<!--",
    b"<script>",
    b"<table>",
    b"<meta charset=utf-8>",
    b'<meta name="robots" content="noai">',
    b"</div>",
    b"&#xD800;&#0;&amp",
    b"9",
    b"\xd9\xa9",
    b"1 234 ",
    b"%",
    b"-gthumb-.a",
    b" a=b",
    b"\x00",
    b"\xff\xfe",
    b"\xe2\x80\xae\n\r\x1b",
    b"*a",
    b"Disallow: /",
    b"User-agent: *\n",
]


def damaged(page, draw):
    """A page with a few of the faults that a hostile or broken site makes."""
    spoiled = bytearray(page)
    for _ in range(draw.integers(1, 5)):
        at = int(draw.integers(0, len(spoiled) + 1))
        length = int(draw.integers(1, 60))
        match draw.integers(0, 6):
            case 0:
                del spoiled[at : at + length]
            case 1:
                spoiled[at : at + length] = draw.bytes(length)
            case 2:
                spoiled[at:at] = spoiled[at : at + 2000] * int(draw.integers(1, 30))
            case 3 if draw.random() < 0.1:
                del spoiled[at:]
            case _:
                # Seldom very many, so that most rounds are quick.
                most = 10 ** int(draw.choice([1, 3, 4, 5], p=[0.4, 0.4, 0.15, 0.05]))
                nonsense = NONSENSE[int(draw.integers(len(NONSENSE)))]
                spoiled[at:at] = nonsense * int(draw.integers(1, most))
    return bytes(spoiled)


def check(found):
    """What parsers return can be asked for, stored and shown."""
    match found:
        case GalleryPage():
            assert found.stated_photos is None or 0 <= found.stated_photos <= MAX_COUNT
            assert len(found.name) <= 200
            check((*found.photo_page_urls, *found.linked_pages.values()))
        case IdentityRecord():
            assert found.identity
            assert len(found.name) <= 4096
            check((found.page_url,))
        case str():
            assert len(found) <= 4096
            urlsplit(found)
        case _:
            assert len(found) <= 20_000
            for each in found:
                check(each)


def test_every_damaged_page_is_read_or_refused(fuzz_seeds):
    parse_functions = [
        parsers.parse_letter_urls,
        parsers.parse_cards,
        parsers.parse_gallery_page,
        parsers.parse_picture_urls,
    ]
    outcomes = Counter()
    for seed in fuzz_seeds(ROUNDS_IN_CI):
        for name, whole in PAGES.items():
            page = damaged(whole, np.random.default_rng((seed, *name.encode())))
            for parse in parse_functions:
                started, worked = time.monotonic(), time.process_time()
                try:
                    check(read_page(parse, page, GALLERY, seconds=SECONDS_PER_PAGE))
                    outcomes["read"] += 1
                except ScrapingError as error:
                    outcomes[error.reason] += 1
                assert time.process_time() - worked < SECONDS_PER_PAGE, (name, seed)
                assert time.monotonic() - started < 4 * SECONDS_PER_PAGE + 5, (name, seed)
        for worker in worker_processes():
            assert worker.memory_info().rss < MEMORY_BYTES, seed
    assert set(outcomes) <= {"read", "layout_changed", "no_ai", "took_too_long"}
    assert outcomes["took_too_long"] <= outcomes["read"] / 100
    assert min(outcomes["read"], outcomes["layout_changed"]) > ROUNDS_IN_CI


def test_every_damaged_robots_txt_allows_or_denies(fuzz_seeds):
    outcomes = Counter()
    for seed in fuzz_seeds(ROUNDS_IN_CI):
        text = damaged(ROBOTS, np.random.default_rng(seed))
        robots = RobotsTxt(SITE, "BoLID-crawler", lambda _, text=text: text, RateLimiter(1000.0, 1))
        started = time.process_time()
        for path in ("/photos/", "/x/private/", f"/{'a' * 2000}", "/%E9?*$#a.jpg", "//[x"):
            with suppress(ScrapingError):
                robots.check(SITE + path)
                outcomes["allowed"] += 1
        assert time.process_time() - started < SECONDS_PER_PAGE, seed
    assert outcomes["allowed"] > ROUNDS_IN_CI
