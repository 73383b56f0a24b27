"""Parsers on pages as the site served them in 2022 and 2025, and on pages that are none of its."""

import pytest

from bolid_pipeline.errors import DownloadFailed, LayoutChanged
from bolid_pipeline.records import IdentityRecord
from bolid_pipeline.scraping.parsers import (
    original_url,
    parse_cards,
    parse_count,
    parse_gallery_page,
    parse_letter_urls,
    parse_picture_url,
    parse_picture_urls,
    slug_of,
)

SITE = "https://www.theplace.ru"
GALLERY = f"{SITE}/photos/taraji_p._henson/"

INDEX = """<div class="letters-list"><a href="/photos/celebs/A/">A</a><a href="/photos/celebs/B/">B</a></div>
<div class="letters-list"><a href="/photos/celebs/Я/">Я</a><a href="/photos/celebs/A/">A</a>
<a href="https://example.org/ads">ads</a></div>""".encode()

LETTER = """<div class="models_list row my-5">
<div class="model-item"><a class="model-link" href="/photos/taraji_p._henson/">
<span class="ico_box"><img class="icon" src="/archive/00_icons/7_icon_128.jpg"></span>
<span class="name">Тараджи П. Хенсон</span></a></div>
<div class="model-item"><a class="model-link" href="/photos/Two Words/"><span class="name">Two</span></a></div>
<div class="model-item"><a class="model-link" href="/photos/taraji_p._henson/"><span class="name">Again</span></a></div>
</div>""".encode()

FRAME = """<div id="vue-app"><div class="content-wrapper"><div></div><div><div>
<div class="col-xl-9 col-lg-8 col-md-7 col-sm-12 main-col-content"><h1 class="my-3">{name}</h1>
<div class="d-none d-sm-block"><p>{count}</p><p>of 9 pages</p></div>{grid}</div></div></div></div></div>"""

GRID_2025 = """<div class="row gx-1 justify-content-center"><div><a href="/photos/taraji_p._henson/pic-1.html">
<img src="t1.jpg"></a></div><div><a href="/photos/taraji_p._henson/pic-2.html#top"></a></div>
<div><a href="/photos/taraji_p._henson/pic-1.html"></a></div></div>"""
GRID_2022_BY_LINK = """<div class="row"><a class="photos-pic-card__link" href="pic-1.html"></a>
<a class="photos-pic-card__link" href="pic-2.html"></a></div>"""
GRID_2022_BY_CARD = """<div class="p-1"><div class="gallery-photo-card"><a href="pic-1.html"></a></div></div>
<div class="p-1"><div class="gallery-photo-card"><a href="pic-2.html"></a></div></div>"""
GRID_UNKNOWN = """<section><a href="/photos/taraji_p._henson/pic-1.html"><img src="t1.jpg"></a>
<a href="/photos/taraji_p._henson/pic-2.html"><img src="t2.jpg"></a>
<a href="/photos/"><img src="logo.png"></a></section>"""


def gallery(grid: str, name: str = "Taraji P. Henson", count: str = "Фото 2 шт") -> bytes:
    return FRAME.format(name=name, count=count, grid=grid).encode()


def test_letters_of_both_alphabets_once_each_and_no_foreign_host():
    assert parse_letter_urls(INDEX, f"{SITE}/photos/") == (
        f"{SITE}/photos/celebs/A/",
        f"{SITE}/photos/celebs/B/",
        f"{SITE}/photos/celebs/%D0%AF/",
    )


def test_cards_give_slug_name_and_address_once_each():
    assert parse_cards(LETTER, f"{SITE}/photos/celebs/T/") == (
        IdentityRecord(identity="taraji_p._henson", name="Тараджи П. Хенсон", page_url=GALLERY),
        IdentityRecord(identity="Two Words", name="Two", page_url=f"{SITE}/photos/Two%20Words/"),
    )


def test_a_letter_without_people_is_no_error():
    assert parse_cards(b'<div class="models_list row my-5"></div>', f"{SITE}/photos/celebs/Q/") == ()


@pytest.mark.parametrize("grid", [GRID_2025, GRID_2022_BY_LINK, GRID_2022_BY_CARD, GRID_UNKNOWN])
def test_every_grid_variant_gives_the_photo_pages_in_order(grid):
    page = parse_gallery_page(gallery(grid), GALLERY)
    assert page.photo_page_urls == (f"{GALLERY}pic-1.html", f"{GALLERY}pic-2.html")
    assert (page.name, page.stated_photos, page.is_person) == ("Taraji P. Henson", 2, True)
    assert page.linked_pages == {}


def test_the_pagination_window_gives_addresses_by_number_and_never_page_one_again():
    links = "".join(f'<a href="?page={n}">{n}</a>' for n in (4, 5, 7))
    window = (
        f'<div class="listalka"><a href="{GALLERY}">1</a>{links}<a href="/photos/other/?page=9">x</a></div>'
    )
    page = parse_gallery_page(gallery(GRID_2025 + window), f"{GALLERY}?page=6")
    assert page.linked_pages == {number: f"{GALLERY}?page={number}" for number in (4, 5, 7)}
    assert len(page.photo_page_urls) == 2


@pytest.mark.parametrize("name", ["Ночной город (фильм)", "Matrix (movie)", "Мумий Тролль (рок группа)"])
def test_galleries_that_say_they_are_no_person_are_marked(name):
    assert not parse_gallery_page(gallery(GRID_2025, name=name), GALLERY).is_person


def test_an_empty_gallery_is_empty_where_the_site_states_no_photos():
    page = parse_gallery_page(gallery("", count="Фото 0 шт"), GALLERY)
    assert (page.photo_page_urls, page.stated_photos) == ((), 0)
    assert parse_gallery_page(gallery("", count=""), GALLERY).stated_photos is None


def test_stated_photos_without_a_known_grid_are_a_changed_layout():
    with pytest.raises(LayoutChanged, match=r"taraji_p\._henson/: 24 photos stated"):
        parse_gallery_page(gallery("<canvas></canvas>", count="Фото 24 шт"), GALLERY)


@pytest.mark.parametrize(
    "picture",
    [
        '<div class="pic-big-box__main"><span class="s-pic"><img src="/cache/x.jpg"></span></div>',
        '<img class="pic big_pic" src="/cache/x.jpg">',
        '<div class="pic-big-box"><a><img src="/cache/x.jpg"></a></div>',
    ],
)
def test_every_photo_page_variant_gives_the_picture(picture):
    html = f'<img src="logo.png"><img class="icon" src="i.jpg">{picture}'.encode()
    assert parse_picture_url(html, f"{GALLERY}pic-1.html") == f"{SITE}/cache/x.jpg"


@pytest.mark.parametrize("parse", [parse_letter_urls, parse_cards, parse_gallery_page, parse_picture_url])
@pytest.mark.parametrize(
    "html", [b"", b"\x00\xff garbage", b"<html><body><p>Access denied</p></body></html>"]
)
def test_a_page_that_holds_nothing_known_raises_with_its_address(parse, html):
    with pytest.raises(LayoutChanged, match=r"https://www\.theplace\.ru/photos/taraji_p\._henson/"):
        parse(html, GALLERY)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Фото 24 шт", 24),
        ("Всего 1 234 фото", 1234),
        ("Фото 1\u00a0234 шт", 1234),
        ("Фото 12\u202f345\u202f678", 12345678),
        ("Фото 24 2025", 24),
        ("нет фото", None),
        ("", None),
    ],
)
def test_counts(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize(
    ("resized", "original"),
    [
        ("/cache/archive/bred_pitt/img/a-gthumb-gwdata1600-gfitdatamax.jpg", "/archive/bred_pitt/img/a.jpg"),
        ("/cache/archive/x/img/B.+(2)-1-gthumb-ghdata9.jpeg", "/archive/x/img/B.+(2)-1.jpeg"),
        ("/archive/x/img/a.jpg", "/archive/x/img/a.jpg"),
    ],
)
def test_original_url(resized, original):
    assert original_url(SITE + resized) == SITE + original


def test_slugs_are_percent_decoded():
    assert slug_of(f"{SITE}/photos/Two%20Words/?page=2") == "Two Words"


INDEX_2013 = """<html><head><meta http-equiv="Content-Type" content="text/html; charset=windows-1251"></head>
<body><a href="/photos/?s_id=1">Актрисы</a><div class="abc"><a href="/photos/celebs-A.html">A</a>
<a href="/photos/celebs-%C0.html">А</a></div></body></html>"""
LETTER_2013 = """<html><head><meta http-equiv="Content-Type" content="text/html; charset=windows-1251"></head>
<body><td><a href="/photos/Anna-Belle-mid123.html">Анна Бель</a></td>
<td><a href="/photos/%C0%ED%ED%E0-mid7.html">Анна</a></td><a href="/news/1.html">Новости</a></body></html>"""
GALLERY_2013 = """<html><body><h1>Анна Бель</h1><div class="gallery-pics-list">
<div class="pic_box"><a href="/photos/photo-9001.html"><img src="/pics/a_s.jpg"></a></div>
<div class="pic_box"><a href="/photos/photo-9002.html"><img src="/pics/b_s.jpg"></a></div></div>
<div class="listalka ltop"><a href="/photos/gallery.php?id=123&page=2">2</a>
<a href="/photos/gallery.php?id=123&amp;page=3">3</a><a href="/photos/gallery.php?id=999&page=4">4</a></div>
</body></html>"""
ANNA_2013 = f"{SITE}/photos/Anna-Belle-mid123.html"


def test_the_old_layout_in_cp1251_gives_letters_people_photos_and_pages():
    assert parse_letter_urls(INDEX_2013.encode("cp1251"), f"{SITE}/photos/") == (
        f"{SITE}/photos/celebs-A.html",
        f"{SITE}/photos/celebs-%C0.html",
    )
    assert parse_cards(LETTER_2013.encode("cp1251"), f"{SITE}/photos/celebs-A.html") == (
        IdentityRecord(identity="Anna-Belle-mid123", name="Анна Бель", page_url=ANNA_2013),
        IdentityRecord(identity="Анна-mid7", name="Анна", page_url=f"{SITE}/photos/%C0%ED%ED%E0-mid7.html"),
    )
    page = parse_gallery_page(GALLERY_2013.encode("cp1251"), ANNA_2013)
    assert page.name == "Анна Бель"  # cp1251 although nothing says so
    assert page.photo_page_urls == (f"{SITE}/photos/photo-9001.html", f"{SITE}/photos/photo-9002.html")
    assert page.linked_pages == {
        2: f"{SITE}/photos/gallery.php?id=123&page=2",
        3: f"{SITE}/photos/gallery.php?id=123&page=3",
    }
    second = parse_gallery_page(GALLERY_2013.encode("cp1251"), page.linked_pages[2])
    assert second.linked_pages.keys() == {2, 3}


def test_a_thumbnail_of_the_old_layout_leads_to_its_original_and_a_resized_file_keeps_its_name():
    html = b'<div class="pic-big-box"><img src="/pics/a_s.jpg"></div>'
    assert parse_picture_urls(html, ANNA_2013) == (f"{SITE}/pics/a.jpg", f"{SITE}/pics/a_s.jpg")
    resized = f"{SITE}/cache/archive/x/img/dress_s-gthumb-gwdata1600-gfitdatamax.jpg"
    assert original_url(resized) == f"{SITE}/archive/x/img/dress_s.jpg"


def test_a_damaged_utf8_page_is_still_utf8():
    html = '<meta charset="utf-8"><h1 class="my-3">Иван</h1>'.encode() + b"\xd0"
    assert parse_gallery_page(html + GRID_2025.encode(), GALLERY).name == "Иван"


def test_broken_html_gives_what_it_holds():
    broken = f"<html><body><h1 class='my-3'>Anna<div class=row>{GRID_2022_BY_LINK[:-6]}<div><p></table></b"
    assert len(parse_gallery_page(broken.encode(), GALLERY).photo_page_urls) == 2


@pytest.mark.parametrize("name", ["robots", "Robots", "BoLID-crawler"])
@pytest.mark.parametrize("content", ["noai", "index, NoImageAI"])
@pytest.mark.parametrize("parse", [parse_letter_urls, parse_cards, parse_gallery_page, parse_picture_urls])
def test_a_page_that_asks_not_to_be_used_for_ai_is_not(parse, name, content):
    with pytest.raises(DownloadFailed, match="not to be used for AI") as failure:
        parse(f'<meta name="{name}" content="{content}">'.encode(), GALLERY)
    assert failure.value.reason == "no_ai"


def test_other_robots_tags_forbid_nothing():
    html = b'<meta name="robots" content="noindex, nofollow"><meta name="robots">'
    assert parse_gallery_page(html + gallery(GRID_2025), GALLERY).stated_photos == 2


def test_hostile_pages_are_bounded():
    with pytest.raises(LayoutChanged, match="bytes"):
        parse_gallery_page(b" " * (16 * 2**20 + 1), GALLERY)
    deep = "<div>" * 100_000 + "</div>" * 100_000
    assert parse_gallery_page(gallery(GRID_2025 + deep), GALLERY).stated_photos == 2
    many = "".join(f'<a class="photos-pic-card__link" href="pic-{n}.html"></a>' for n in range(20_500))
    assert len(parse_gallery_page(gallery(many), GALLERY).photo_page_urls) == 20_000
    assert (
        parse_gallery_page(
            gallery(f'<div class="listalka"><a href="?page={"9" * 5000}"></a></div>', count="-"), GALLERY
        ).linked_pages
        == {}
    )


def test_a_layout_change_carries_the_page_it_saw():
    with pytest.raises(LayoutChanged) as failure:
        parse_picture_urls(b"<html>new</html>", f"{GALLERY}pic-1.html")
    assert (failure.value.page_url, failure.value.html) == (f"{GALLERY}pic-1.html", b"<html>new</html>")
