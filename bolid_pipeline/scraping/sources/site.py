"""A gallery site over HTTP. Sites differ only in a module of five names, their `SiteParsers`."""

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol, cast

from bolid_pipeline.errors import BudgetSpent, ConfigurationError, LayoutChanged, RobotsDenied, ScrapingError
from bolid_pipeline.names import identity_of_name
from bolid_pipeline.records import MAX_COUNT, GalleryPage, IdentityRecord, PhotoPage
from bolid_pipeline.scraping import parsers as theplace
from bolid_pipeline.scraping.catalogue_crawl import CatalogueCrawl
from bolid_pipeline.scraping.client import PoliteClient
from bolid_pipeline.scraping.config import CrawlBounds, CrawlConfig
from bolid_pipeline.scraping.page_cache import PageCache
from bolid_pipeline.scraping.page_reading import read_page
from bolid_pipeline.scraping.photo_crawl import PhotoCrawl
from bolid_pipeline.scraping.report import CrawlReport
from bolid_pipeline.scraping.transfer_counts import TransferCounts
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore

_logger = logging.getLogger(__name__)

_MAX_BARREN_PAGES = 3
"""After this many grid pages in a row without a new photo, the gallery is taken to repeat itself."""

_PARSER_NAMES = (
    "INDEX_PATH",
    "parse_letter_urls",
    "parse_cards",
    "parse_gallery_page",
    "parse_picture_urls",
)


class SiteParsers(Protocol):
    """A site's pages as pure functions from (HTML, the page's address) to records: a module with these names.

    Each function raises LayoutChanged, with the page's address and HTML, if it recognises nothing on a page.
    `bolid_pipeline.scraping.parsers` is the module for theplace.
    """

    @property
    def INDEX_PATH(self) -> str:  # noqa: N802 - a constant of the module
        """Path of the page that leads to the lists of people."""
        ...

    def parse_letter_urls(self, html: bytes, page_url: str, /) -> tuple[str, ...]:
        """From the index page: the pages that list people, at least one; the index itself may be one."""
        ...

    def parse_cards(self, html: bytes, page_url: str, /) -> tuple[IdentityRecord, ...]:
        """From a list page: its people; a list may be empty."""
        ...

    def parse_gallery_page(self, html: bytes, page_url: str, /) -> GalleryPage:
        """From one page of a person's gallery: its photos, and the gallery's other pages."""
        ...

    def parse_picture_urls(self, html: bytes, page_url: str, /) -> tuple[str, ...]:
        """From a photo page: the possible addresses of the file, the best one first."""
        ...


def load_parsers(module: str) -> SiteParsers:
    """The site's parsers in the module of this name. Raises ConfigurationError."""
    try:
        parsers = importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"BOLID_SITE_PARSERS: no module {module} ({error}); name an importable one, like a file in this folder"
        ) from error
    missing = [name for name in _PARSER_NAMES if not hasattr(parsers, name)]
    if missing:
        raise ConfigurationError(
            f"{module} lacks {', '.join(missing)}; docs/crawling.md says what a site's parsers are"
        )
    return cast(SiteParsers, parsers)


@contextmanager
def open_site(config: CrawlConfig, parsers: SiteParsers = theplace) -> Iterator["SiteSource"]:
    """A source whose client is closed at the end of the block; theplace by default."""
    with PoliteClient(config) as client:
        yield SiteSource(client, parsers)


class SiteSource:
    """A `PhotoSource` over HTTP, and the `PagedSource` that its crawls read.

    The index, the lists of people and the first page of each gallery are asked for on the condition that they have
    changed since the last visit; an unchanged one is taken from the cache.
    """

    def __init__(self, client: PoliteClient, parsers: SiteParsers) -> None:
        self._client = client
        self._config = client.config
        self._parsers = parsers

    @property
    def label(self) -> str:
        """The site's canonical address."""
        return self._config.canonical_base_url

    @property
    def bounds(self) -> CrawlBounds:
        """Limits on what is taken from the site."""
        return self._config

    @property
    def max_concurrency(self) -> int:
        """Most photos that may be fetched at the same time."""
        return self._config.max_concurrency

    @property
    def counts(self) -> TransferCounts:
        """Transfers of the client so far."""
        return self._client.counts

    def refresh_catalogue(self, tables: TableStore) -> CrawlReport:
        """Visit the lists of people and the galleries; see `crawler.crawl_catalogue`."""
        return CatalogueCrawl(self, tables).run()

    def refresh_photos(self, tables: TableStore, photos: PhotoStore) -> CrawlReport:
        """Fetch the photos that are neither stored nor refused; see `crawler.crawl_photos`."""
        return PhotoCrawl(self, tables, photos).run()

    def identities(self, cache: PageCache) -> Iterator[IdentityRecord]:
        """Everyone on the lists, each once. Raises LayoutChanged if the lists name nobody."""
        index_url = f"{self._config.canonical_base_url}{self._parsers.INDEX_PATH}"
        seen: dict[str, str] = {}
        failures: list[ScrapingError] = []
        for list_url in read_page(self._parsers.parse_letter_urls, self._page(index_url, cache), index_url):
            try:
                cards = read_page(self._parsers.parse_cards, self._page(list_url, cache, index_url), list_url)
            except BudgetSpent:
                raise
            except ScrapingError as error:
                _logger.warning("list of people %s: %s", list_url, error)
                failures.append(error)
                continue
            for card in cards:
                identity = identity_of_name(card.identity)
                if identity not in seen:
                    seen[identity] = card.page_url
                    yield replace(card, identity=identity)
                elif seen[identity] != card.page_url:
                    _logger.warning(
                        "%s is left out: %s is the name of %s", card.page_url, identity, seen[identity]
                    )
        if failures:
            raise next((e for e in failures if isinstance(e, LayoutChanged | RobotsDenied)), failures[0])
        if not seen:
            raise LayoutChanged(f"{index_url}: the lists name nobody; the site's layout has changed")

    def gallery_pages(self, identity: IdentityRecord, cache: PageCache) -> Iterator[GalleryPage]:
        """The gallery's pages by number, each once; every page links to a window of numbers around its own."""
        url, shown = identity.page_url, set[str]()
        visited: set[int] = set()
        waiting = {1: url}
        num_barren = 0
        while waiting and num_barren < _MAX_BARREN_PAGES:
            if len(visited) == self._config.max_gallery_pages:
                _logger.warning("%s has more than %d pages; the others are left out", url, len(visited))
                return
            number = min(waiting)
            html = self._page(url, cache) if number == 1 else self._fresh_page(waiting[number], url)
            page = read_page(self._parsers.parse_gallery_page, html, waiting[number])
            if (page.stated_photos or 0) > MAX_COUNT:
                page = replace(page, stated_photos=None)
            visited.add(number)
            waiting = {n: link for n, link in {**page.linked_pages, **waiting}.items() if n not in visited}
            num_barren = 0 if set(page.photo_page_urls) - shown else num_barren + 1
            shown.update(page.photo_page_urls)
            yield page

    def picture_urls(self, photo_page: PhotoPage) -> tuple[str, ...]:
        """The addresses of the file that the photo page gives, the original first."""
        html = self._fresh_page(photo_page.page_url)
        return read_page(self._parsers.parse_picture_urls, html, photo_page.page_url)

    def download(self, picture_url: str, photo_page: PhotoPage) -> bytes:
        """The file's bytes, asked for with the photo page as Referer."""
        return self._client.get_picture(picture_url, referer=photo_page.page_url)

    def _fresh_page(self, url: str, referer: str | None = None) -> bytes:
        return self._client.get_page(url, referer=referer).body or b""

    def _page(self, url: str, cache: PageCache, referer: str | None = None) -> bytes:
        """The page, from the cache if the site says that it has not changed."""
        page = self._client.get_page(url, referer=referer, validators=cache.validators(url))
        if page.body is None:
            return cache.html(url)
        cache.keep(url, page)
        return page.body
