"""theplace's pages as pure functions from HTML bytes and the page's address to records.

Selectors name what a thing is (a card, the grid, the picture) and never where on the page it stands. Each lists its
variants of 2025, 2022 and 2013. A page on which nothing is recognised raises LayoutChanged, so that it is never taken
for an empty one. A page that asks not to be used for AI raises DownloadFailed `no_ai`.

Another site is another module with the same five names, listed in `bolid_pipeline.scraping.sources.site`.
"""

import re
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes, urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from bs4.dammit import EncodingDetector
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - a compiled module without types
from lxml.cssselect import CSSSelector
from requests.utils import requote_uri

from bolid_pipeline.errors import LayoutChanged
from bolid_pipeline.records import GalleryPage, IdentityRecord
from bolid_pipeline.scraping.robots import check_meta_tags

INDEX_PATH = "/photos/"
"""Path of the page that lists the letters."""

_LETTERS = "div.letters-list a[href], a[href*='/photos/celebs']"
_CARD_LISTS = "div.models_list"
_CARDS = "div.models_list a[href], div.model-item > a.model-link[href], a[href*='-mid'][href$='.html']"
_GALLERY_NAME = "h1.my-3"
_COUNT = "div.main-col-content div.d-none.d-sm-block p"
_GRIDS = (
    "div.row.gx-1.justify-content-center a[href], "  # 2025
    "a.photos-pic-card__link[href], div.p-1 > div.gallery-photo-card > a[href], "  # 2022
    ".gallery-pics-list .pic_box a[href]"  # 2013
)
_PAGINATION = ".listalka a[href]"
_PICTURE = "div.pic-big-box__main span.s-pic > img[src], img.pic.big_pic[src], .pic-big-box img[src]"
_PICTURES_OF = CSSSelector(_PICTURE, translator="html")

_MAX_PAGE_BYTES = 16 * 2**20
_MAX_LINKS = 20_000
_BLANKS = r"[\s\u00a0\u202f\u2009]"
_NUMBER = re.compile(rf"\d{{1,3}}(?:{_BLANKS}\d{{3}})+(?!\d)|\d+")
_NOT_A_PERSON = re.compile(
    r"\((?:[^)]*\s)?(?:фильм|мультфильм|сериал|группа|обои|тема|аниме|игра|шоу"
    r"|film|movie|cartoon|series|band|theme|wallpapers?|anime|game|show)\)",
    re.IGNORECASE,
)
_RESIZED = re.compile(r"-gthumb-[^/]*(?=\.\w+$)")
_THUMBNAIL_2013 = re.compile(r"_s(?=\.\w+$)")
_OWN_NUMBER_2013 = re.compile(r"-mid(\d+)\.html$")


def parse_letter_urls(html: bytes, page_url: str) -> tuple[str, ...]:
    """The addresses of the letter pages, Latin and Cyrillic, in the index's order. Raises LayoutChanged for none."""
    soup = _soup(html, page_url)
    urls = _links(soup, _LETTERS, page_url)
    if not urls:
        raise _layout_changed(html, page_url, f"no letters ({_LETTERS})")
    return urls


def parse_cards(html: bytes, page_url: str) -> tuple[IdentityRecord, ...]:
    """The people that a letter page lists, in its order. Raises LayoutChanged if the page holds no list."""
    soup = _soup(html, page_url)
    cards: dict[str, IdentityRecord] = {}
    for link in soup.select(_CARDS):
        card = _card(link, page_url)
        if card is not None:
            cards.setdefault(card.identity, card)
    if not cards and not soup.select(_CARD_LISTS):
        raise _layout_changed(html, page_url, f"no list of people ({_CARD_LISTS})")
    return tuple(cards.values())


def parse_gallery_page(html: bytes, page_url: str) -> GalleryPage:
    """One page of a gallery. It may be without photos only if the site states none.

    Raises:
        LayoutChanged: the page has neither heading nor grid, or it states photos and no known grid shows any.
    """
    soup = _soup(html, page_url)
    heading = soup.select_one(_GALLERY_NAME) or soup.select_one("h1")
    stated_photos = _stated_photos(soup)
    urls = _links(soup, _GRIDS, page_url) or _links_below(soup, page_url)
    photo_page_urls = tuple(url for url in urls if urlsplit(url).path != urlsplit(page_url).path)
    if not photo_page_urls and heading is None:
        raise _layout_changed(html, page_url, "neither a heading nor a grid of photos")
    if not photo_page_urls and stated_photos:
        raise _layout_changed(
            html, page_url, f"{stated_photos} photos stated, but the page shows none in a grid that we know"
        )
    name = heading.get_text(" ", strip=True) if heading else slug_of(page_url)
    return GalleryPage(
        name=name,
        stated_photos=stated_photos,
        photo_page_urls=photo_page_urls,
        linked_pages=_linked_pages(soup, page_url),
        is_person=_NOT_A_PERSON.search(name) is None,
    )


def parse_picture_url(html: bytes, page_url: str) -> str:
    """The address of the (resized) picture that the photo page shows. Raises LayoutChanged if there is none."""
    # With lxml alone: this page is read for every photo, and BeautifulSoup takes thirty times as long.
    pictures = _PICTURES_OF(_tree(html, page_url))
    if not pictures:
        raise _layout_changed(html, page_url, f"no picture ({_PICTURE})")
    return _absolute(pictures[0].get("src"), page_url)


def parse_picture_urls(html: bytes, page_url: str) -> tuple[str, ...]:
    """The possible addresses of the photo's file: the original first, then the picture that the page shows."""
    shown = parse_picture_url(html, page_url)
    return tuple(dict.fromkeys((original_url(shown), shown)))


def original_url(shown_url: str) -> str:
    """The original's address: a resized file's without `/cache` and `-gthumb-...`, or a thumbnail's without `_s`."""
    parts = urlsplit(shown_url)
    path, num_cuts = _RESIZED.subn("", parts.path.removeprefix("/cache"))
    return parts._replace(path=path if num_cuts else _THUMBNAIL_2013.sub("", path)).geturl()


def parse_count(text: str) -> int | None:
    """The first number in a text, which may have blanks between thousands ("1 234"); None if there is none."""
    found = _NUMBER.search(text)
    return int(re.sub(_BLANKS, "", found.group())) if found else None


def slug_of(gallery_url: str) -> str:
    """The slug in a gallery's address `/photos/<slug>/` or `/photos/<slug>.html`, percent-decoded."""
    last = unquote_to_bytes(urlsplit(gallery_url).path.rstrip("/").rpartition("/")[2])
    try:
        slug = last.decode("utf-8")
    except UnicodeDecodeError:
        slug = last.decode("cp1251", errors="surrogateescape")  # the site was in cp1251 until 2015
    return slug.removesuffix(".html")


def _soup(html: bytes, page_url: str) -> BeautifulSoup:
    """The page as a BeautifulSoup tree. Raises LayoutChanged (too large) and DownloadFailed (`no_ai`)."""
    soup = BeautifulSoup(_bounded_text(html, page_url), "lxml")
    check_meta_tags(page_url, ((str(tag.get("name")), str(tag.get("content"))) for tag in soup("meta")))
    return soup


def _tree(html: bytes, page_url: str) -> Any:
    """The page as an lxml tree. Raises like `_soup`."""
    text = _bounded_text(html, page_url).encode("utf-8", errors="replace")
    tree = etree.HTML(text, etree.HTMLParser(encoding="utf-8"))
    if tree is None:
        raise _layout_changed(html, page_url, "no HTML")
    check_meta_tags(page_url, ((str(tag.get("name")), str(tag.get("content"))) for tag in tree.iter("meta")))
    return tree


def _bounded_text(html: bytes, page_url: str) -> str:
    if len(html) > _MAX_PAGE_BYTES:
        raise _layout_changed(b"", page_url, f"{len(html)} bytes; at most {_MAX_PAGE_BYTES} are read")
    return _decode(html)


def _decode(text: bytes) -> str:
    """The text of UTF-8 bytes, or of bytes that declare to be UTF-8 and are damaged; of cp1251 bytes otherwise."""
    # The site was in cp1251 until 2015.
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        declared = EncodingDetector.find_declared_encoding(text, is_html=True) or ""
        is_utf8 = declared.lower().replace("-", "") == "utf8"
        return text.decode("utf-8" if is_utf8 else "cp1251", errors="replace")


def _layout_changed(html: bytes, page_url: str, what: str) -> LayoutChanged:
    return LayoutChanged(
        f"{page_url}: {what}; the site's layout has changed, bolid_pipeline/scraping/parsers.py must follow",
        page_url=page_url,
        html=html,
    )


def _absolute(link: str, page_url: str) -> str:
    return requote_uri(urljoin(page_url, link.strip()).partition("#")[0])


def _links(soup: BeautifulSoup, selector: str, page_url: str) -> tuple[str, ...]:
    """Addresses of the selected links that stay on the page's host, in order and without repeats."""
    urls = (_absolute(str(link["href"]), page_url) for link in islice(soup.select(selector), _MAX_LINKS))
    return tuple(dict.fromkeys(url for url in urls if urlsplit(url).netloc == urlsplit(page_url).netloc))


def _links_below(soup: BeautifulSoup, page_url: str) -> tuple[str, ...]:
    """Addresses of links that lead below the gallery's own and enclose a picture, as even a redesigned grid has."""
    folder = urlsplit(page_url).path.rstrip("/") + "/"
    return tuple(
        url for url in _links(soup, "a[href]:has(img)", page_url) if urlsplit(url).path.startswith(folder)
    )


def _card(link: Tag, page_url: str) -> IdentityRecord | None:
    """The person on a card; None where the link does not lead to a gallery of this site."""
    url = _absolute(str(link["href"]), page_url)
    slug = slug_of(url)
    if not slug or urlsplit(url).netloc != urlsplit(page_url).netloc:
        return None
    label = link.select_one("span.name")
    name = (label or link).get_text(" ", strip=True) or slug
    return IdentityRecord(identity=slug, name=name, page_url=url)


def _stated_photos(soup: BeautifulSoup) -> int | None:
    paragraph = soup.select_one(_COUNT)
    return parse_count(paragraph.get_text(" ", strip=True)) if paragraph else None


def _linked_pages(soup: BeautifulSoup, page_url: str) -> dict[int, str]:
    """The linked pages of the same gallery from page 2 on, number -> address."""
    pages = {
        _page_number(url): url
        for url in _links(soup, _PAGINATION, page_url)
        if _is_same_gallery(url, page_url)
    }
    return {number: url for number, url in pages.items() if number > 1}


def _is_same_gallery(url: str, page_url: str) -> bool:
    """True if the path is the same or, in the layout of 2013, `gallery.php` has the id of `-mid<id>.html`."""
    link, page = urlsplit(url), urlsplit(page_url)
    if link.path == page.path:
        return parse_qs(link.query).get("id") == parse_qs(page.query).get("id")
    own_number = _OWN_NUMBER_2013.search(page.path)
    return (
        own_number is not None
        and link.path.endswith("/gallery.php")
        and parse_qs(link.query).get("id") == [own_number[1]]
    )


def _page_number(url: str) -> int:
    """The n of `?page=n`; an address without one is page 1."""
    number = parse_qs(urlsplit(url).query).get("page", ["1"])[0]
    return int(number) if number.isdecimal() and len(number) < 7 else 1
