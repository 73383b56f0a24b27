"""theplace's pages as pure functions: HTML bytes and the page's address -> records.

Selectors name what a thing is (a card, the grid, the picture), never where it stands, and each has its older
variants beside it. A page that holds nothing known raises LayoutChanged: an unrecognised page is never an
empty one.
"""

import re
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from requests.utils import requote_uri

from bolid_pipeline.errors import LayoutChanged
from bolid_pipeline.records import GalleryPage, IdentityRecord

_LETTERS = "div.letters-list a[href]"
_CARD_LISTS = "div.models_list"
_CARDS = "div.models_list a[href], div.model-item > a.model-link[href]"
_GALLERY_NAME = "h1.my-3"
_COUNT = "div.main-col-content div.d-none.d-sm-block p"
_GRID_2025 = "div.row.gx-1.justify-content-center a[href]"
_GRID_2022 = "a.photos-pic-card__link[href], div.p-1 > div.gallery-photo-card > a[href]"
_PAGINATION = "div.listalka a[href]"
_PICTURE = "div.pic-big-box__main span.s-pic > img[src], img.pic.big_pic[src], .pic-big-box img[src]"

_BLANKS = r"[\s\u00a0\u202f\u2009]"
_NUMBER = re.compile(rf"\d{{1,3}}(?:{_BLANKS}\d{{3}})+(?!\d)|\d+")
_NOT_A_PERSON = re.compile(
    r"\((?:[^)]*\s)?(?:фильм|мультфильм|сериал|группа|обои|тема|film|movie|series|band|theme|wallpapers?)\)",
    re.IGNORECASE,
)
_RESIZED = re.compile(r"-gthumb-[^/]*(?=\.\w+$)")


def parse_letter_urls(html: bytes, page_url: str) -> tuple[str, ...]:
    """The index's letter pages, Latin and Cyrillic, in its order. Raises LayoutChanged if there are none."""
    soup = _soup(html)
    urls = _links(soup, _LETTERS, page_url)
    if not urls:
        raise _layout_changed(page_url, f"no letters ({_LETTERS})")
    return urls


def parse_cards(html: bytes, page_url: str) -> tuple[IdentityRecord, ...]:
    """The people a letter page lists, in its order. Raises LayoutChanged if there is no list at all."""
    soup = _soup(html)
    cards: dict[str, IdentityRecord] = {}
    for link in soup.select(_CARDS):
        card = _card(link, page_url)
        if card is not None:
            cards.setdefault(card.identity, card)
    if not cards and not soup.select(_CARD_LISTS):
        raise _layout_changed(page_url, f"no list of people ({_CARD_LISTS})")
    return tuple(cards.values())


def parse_gallery_page(html: bytes, page_url: str) -> GalleryPage:
    """One page of a gallery; without photos only where the site does not state any.

    Raises:
        LayoutChanged: the page has no heading and no grid, or states photos and shows none that we know of.
    """
    soup = _soup(html)
    heading = soup.select_one(_GALLERY_NAME) or soup.select_one("h1")
    stated_photos = _stated_photos(soup)
    urls = _links(soup, f"{_GRID_2025}, {_GRID_2022}", page_url) or _links_below(soup, page_url)
    photo_page_urls = tuple(url for url in urls if urlsplit(url).path != urlsplit(page_url).path)
    if not photo_page_urls and heading is None:
        raise _layout_changed(page_url, "neither a heading nor a grid of photos")
    if not photo_page_urls and stated_photos:
        raise _layout_changed(
            page_url, f"{stated_photos} photos stated, but no grid of photos is known on the page"
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
    """The (resized) picture that the photo page shows. Raises LayoutChanged if there is none."""
    picture = _soup(html).select_one(_PICTURE)
    if picture is None:
        raise _layout_changed(page_url, f"no picture ({_PICTURE})")
    return _absolute(str(picture["src"]), page_url)


def original_url(resized_url: str) -> str:
    """The original file's address: the resized one's without `/cache` and without `-gthumb-...`."""
    parts = urlsplit(resized_url)
    path = _RESIZED.sub("", parts.path.removeprefix("/cache"))
    return parts._replace(path=path).geturl()


def parse_count(text: str) -> int | None:
    """The first number of a text, blanks between thousands allowed ("1 234"); None if there is none."""
    found = _NUMBER.search(text)
    return int(re.sub(_BLANKS, "", found.group())) if found else None


def slug_of(gallery_url: str) -> str:
    """The gallery's name in its address, percent-decoded: `/photos/<slug>/` -> slug."""
    return unquote(urlsplit(gallery_url).path.rstrip("/").rpartition("/")[2])


def _soup(html: bytes) -> BeautifulSoup:
    return BeautifulSoup(html, "lxml")


def _layout_changed(page_url: str, what: str) -> LayoutChanged:
    return LayoutChanged(
        f"{page_url}: {what}; the site's layout has changed, bolid_pipeline/scraping/parsers.py must follow"
    )


def _absolute(link: str, page_url: str) -> str:
    return requote_uri(urljoin(page_url, link.strip()).partition("#")[0])


def _links(soup: BeautifulSoup, selector: str, page_url: str) -> tuple[str, ...]:
    """Addresses on the page's own host behind the selected links, in order, without repeats."""
    urls = (_absolute(str(link["href"]), page_url) for link in soup.select(selector))
    return tuple(dict.fromkeys(url for url in urls if urlsplit(url).netloc == urlsplit(page_url).netloc))


def _links_below(soup: BeautifulSoup, page_url: str) -> tuple[str, ...]:
    """Links around a picture to addresses below the gallery's own: what a grid of a new look still holds."""
    folder = urlsplit(page_url).path.rstrip("/") + "/"
    return tuple(
        url for url in _links(soup, "a[href]:has(img)", page_url) if urlsplit(url).path.startswith(folder)
    )


def _card(link: Tag, page_url: str) -> IdentityRecord | None:
    """A card's person; None where the link leads to no gallery."""
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


def _linked_pages(soup: BeautifulSoup, page_url: str) -> frozenset[int]:
    own = (
        url for url in _links(soup, _PAGINATION, page_url) if urlsplit(url).path == urlsplit(page_url).path
    )
    return frozenset(_page_number(url) for url in own)


def _page_number(url: str) -> int:
    """`?page=n` -> n; the bare address is page 1."""
    number = parse_qs(urlsplit(url).query).get("page", ["1"])[0]
    return int(number) if number.isdigit() else 1
