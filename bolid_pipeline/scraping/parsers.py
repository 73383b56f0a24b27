"""theplace's pages as pure functions from HTML bytes and the page's address to records.

Selectors name what a thing is (a card, the grid, the picture) and never where on the page it stands. Each lists its
variants of 2025, 2022 and 2013. A page on which nothing is recognised raises LayoutChanged, so that it is never taken
for an empty one. A page that asks not to be used for AI raises DownloadFailed `no_ai`. No step takes longer than in
proportion to the page, addresses that cannot be read are skipped, and absurd numbers count as none.

Another site is another module with the same five names, listed in `bolid_pipeline.scraping.sources.site`.
"""

import logging
import re
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes, urljoin, urlsplit

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - a compiled module without types
from requests.utils import requote_uri

from bolid_pipeline.errors import LayoutChanged
from bolid_pipeline.records import MAX_COUNT, GalleryPage, IdentityRecord
from bolid_pipeline.scraping.robots import check_meta_tags
from bolid_pipeline.scraping.selectors import Selector, in_order, text_of

_logger = logging.getLogger(__name__)

INDEX_PATH = "/photos/"
"""Path of the page that lists the letters."""

_LETTERS = Selector("div.letters-list a[href], a[href*='/photos/celebs']")
_CARD_LISTS = Selector("div.models_list")
_CARDS = Selector(
    "div.models_list a[href], div.model-item>a.model-link[href], a[href*='-mid'][href$='.html']"
)
_CARD_NAME = Selector("span.name")
_GALLERY_NAME = Selector("h1.my-3")
_ANY_HEADING = Selector("h1")
_COUNT = Selector("div.main-col-content div.d-none.d-sm-block p")
_GRIDS = Selector(
    "div.row.gx-1.justify-content-center a[href],"  # 2025
    "a.photos-pic-card__link[href], div.p-1>div.gallery-photo-card>a[href],"  # 2022
    ".gallery-pics-list .pic_box a[href]"  # 2013
)
_PAGINATION = Selector(".listalka a[href]")
_PICTURE = Selector("div.pic-big-box__main span.s-pic>img[src], img.pic.big_pic[src], .pic-big-box img[src]")

_MAX_PAGE_BYTES = 16 * 2**20
_MAX_LINKS = 20_000
_MAX_ADDRESS = 4096
_MAX_TEXT = 200
_DECLARES_UTF8 = re.compile(rb"charset\s{0,9}=[\s\"']{0,9}utf-?8", re.IGNORECASE)
_BLANKS = r"[\s\u00a0\u202f\u2009]"
_NUMBER = re.compile(rf"\d{{1,3}}(?:{_BLANKS}\d{{3}})+(?!\d)|\d+")
_NOT_A_PERSON = re.compile(
    r"\((?:[^()]*\s)?(?:фильм|мультфильм|сериал|группа|обои|тема|аниме|игра|шоу"
    r"|film|movie|cartoon|series|band|theme|wallpapers?|anime|game|show)\)",
    re.IGNORECASE,
)
_RESIZED = re.compile(r"-gthumb-[^/]*(?=\.\w+$)")
_THUMBNAIL_2013 = re.compile(r"_s(?=\.\w+$)")
_OWN_NUMBER_2013 = re.compile(r"-mid(\d+)\.html$")


def parse_letter_urls(html: bytes, page_url: str) -> tuple[str, ...]:
    """The addresses of the letter pages, Latin and Cyrillic, in the index's order. Raises LayoutChanged for none."""
    urls = _links(_LETTERS(_tree(html, page_url)), page_url)
    if not urls:
        raise _layout_changed(html, page_url, f"no letters ({_LETTERS})")
    return urls


def parse_cards(html: bytes, page_url: str) -> tuple[IdentityRecord, ...]:
    """The people that a letter page lists, in its order. Raises LayoutChanged if the page holds no list."""
    tree = _tree(html, page_url)
    cards: dict[str, IdentityRecord] = {}
    for link in islice(_CARDS(tree), _MAX_LINKS):
        card = _card(link, page_url)
        if card is not None:
            cards.setdefault(card.identity, card)
    if not cards and not _CARD_LISTS(tree):
        raise _layout_changed(html, page_url, f"no list of people ({_CARD_LISTS})")
    return tuple(cards.values())


def parse_gallery_page(html: bytes, page_url: str) -> GalleryPage:
    """One page of a gallery. It may be without photos only if the site states none.

    Raises:
        LayoutChanged: the page has neither heading nor grid, or it states photos and no known grid shows any.
    """
    tree = _tree(html, page_url)
    headings = _GALLERY_NAME(tree) or _ANY_HEADING(tree)
    stated_photos = _stated_photos(tree)
    urls = _links(_GRIDS(tree), page_url) or _links_below(tree, page_url)
    photo_page_urls = tuple(url for url in urls if urlsplit(url).path != urlsplit(page_url).path)
    if not photo_page_urls and not headings:
        raise _layout_changed(html, page_url, "neither a heading nor a grid of photos")
    if not photo_page_urls and stated_photos:
        raise _layout_changed(
            html, page_url, f"{stated_photos} photos stated, but the page shows none in a grid that we know"
        )
    name = text_of(headings[0], _MAX_TEXT) if headings else slug_of(page_url)
    return GalleryPage(
        name=name,
        stated_photos=stated_photos,
        photo_page_urls=photo_page_urls,
        linked_pages=_linked_pages(tree, page_url),
        is_person=_NOT_A_PERSON.search(name) is None,
    )


def parse_picture_url(html: bytes, page_url: str) -> str:
    """The address of the (resized) picture that the photo page shows. Raises LayoutChanged if there is none."""
    pictures = _PICTURE(_tree(html, page_url))
    for picture in islice(pictures, _MAX_LINKS):
        url = _absolute(picture.get("src"), page_url)
        if url is not None:
            return url
    what = "the picture has an address that cannot be read" if pictures else f"no picture ({_PICTURE})"
    raise _layout_changed(html, page_url, what)


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
    """The first number in a text, which may have blanks between thousands ("1 234"); None if there is none.

    A number that could not count photos, such as a telephone number, is passed over.
    """
    digits = (re.sub(_BLANKS, "", found.group()) for found in _NUMBER.finditer(text))
    counts = (int(number) for number in digits if len(number) <= len(str(MAX_COUNT)))
    return next((count for count in counts if count <= MAX_COUNT), None)


def slug_of(gallery_url: str) -> str:
    """The slug in a gallery's address `/photos/<slug>/` or `/photos/<slug>.html`, percent-decoded."""
    last = unquote_to_bytes(urlsplit(gallery_url).path.rstrip("/").rpartition("/")[2])
    try:
        slug = last.decode("utf-8")
    except UnicodeDecodeError:
        slug = last.decode("cp1251", errors="surrogateescape")  # the site was in cp1251 until 2015
    return slug.removesuffix(".html")


def _tree(html: bytes, page_url: str) -> Any:
    """The page as an lxml tree. Raises LayoutChanged (too large, or no HTML) and DownloadFailed (`no_ai`)."""
    if len(html) > _MAX_PAGE_BYTES:
        raise _layout_changed(b"", page_url, f"{len(html)} bytes; at most {_MAX_PAGE_BYTES} are read")
    text = _decode(html).encode("utf-8", errors="replace")
    tree = etree.HTML(text, etree.HTMLParser(encoding="utf-8"))
    if tree is None:
        raise _layout_changed(html, page_url, "no HTML")
    check_meta_tags(page_url, ((str(tag.get("name")), str(tag.get("content"))) for tag in tree.iter("meta")))
    return tree


def _decode(html: bytes) -> str:
    """The text of UTF-8 bytes, or of bytes that declare to be UTF-8 and are damaged; of cp1251 bytes otherwise."""
    # The site was in cp1251 until 2015.
    try:
        return html.decode("utf-8")
    except UnicodeDecodeError:
        is_utf8 = _DECLARES_UTF8.search(html, 0, 1024) is not None  # where the standard wants the declaration
        return html.decode("utf-8" if is_utf8 else "cp1251", errors="replace")


def _layout_changed(html: bytes, page_url: str, what: str) -> LayoutChanged:
    return LayoutChanged(
        f"{page_url}: {what}; the site's layout has changed, bolid_pipeline/scraping/parsers.py must follow",
        page_url=page_url,
        html=html,
    )


def _absolute(link: str, page_url: str) -> str | None:
    """The absolute address of a link; None for nonsense, at which urllib raises ValueError."""
    if len(link) > _MAX_ADDRESS:
        return None
    try:
        url = requote_uri(urljoin(page_url, link.strip()).partition("#")[0])
        urlsplit(url)
    except ValueError:
        return None
    return url if len(url) <= _MAX_ADDRESS else None


def _links(links: list[Any], page_url: str) -> tuple[str, ...]:
    """Addresses of the links that stay on the page's host, in order and without repeats."""
    urls = [_absolute(link.get("href"), page_url) for link in islice(links, _MAX_LINKS)]
    if None in urls:
        _logger.warning("%s: %d addresses cannot be read, and are left out", page_url, urls.count(None))
    host = urlsplit(page_url).netloc
    return tuple(dict.fromkeys(url for url in urls if url is not None and urlsplit(url).netloc == host))


def _links_below(tree: Any, page_url: str) -> tuple[str, ...]:
    """Addresses of links that lead below the gallery's own and enclose a picture, as even a redesigned grid has."""
    folder = urlsplit(page_url).path.rstrip("/") + "/"
    links = {link for picture in tree.iter("img") for link in islice(picture.iterancestors("a"), 1)}
    urls = _links([link for link in in_order(tree, links) if link.get("href")], page_url)
    return tuple(url for url in urls if urlsplit(url).path.startswith(folder))


def _card(link: Any, page_url: str) -> IdentityRecord | None:
    """The person on a card; None where the link does not lead to a gallery of this site."""
    url = _absolute(link.get("href"), page_url)
    if url is None or urlsplit(url).netloc != urlsplit(page_url).netloc:
        return None
    slug = slug_of(url)
    if not slug:
        return None
    name = text_of(next(iter(_CARD_NAME(link)), link), _MAX_TEXT) or slug
    return IdentityRecord(identity=slug, name=name, page_url=url)


def _stated_photos(tree: Any) -> int | None:
    paragraphs = _COUNT(tree)
    return parse_count(text_of(paragraphs[0], _MAX_TEXT)) if paragraphs else None


def _linked_pages(tree: Any, page_url: str) -> dict[int, str]:
    """The linked pages of the same gallery from page 2 on, number -> address."""
    pages = {
        _page_number(url): url
        for url in _links(_PAGINATION(tree), page_url)
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
