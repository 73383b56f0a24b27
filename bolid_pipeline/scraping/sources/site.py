"""A gallery site over HTTP. What makes one site differ from another is a module of five names: `SiteParsers`."""

import importlib
import logging
from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self, cast

from bolid_pipeline.errors import BudgetSpent, ConfigurationError, LayoutChanged, RobotsDenied, ScrapingError
from bolid_pipeline.records import GalleryPage, IdentityRecord, PhotoPage
from bolid_pipeline.scraping.client import PoliteClient, TransferCounts
from bolid_pipeline.scraping.config import CrawlBounds, CrawlConfig
from bolid_pipeline.scraping.page_memory import PageMemory

_logger = logging.getLogger(__name__)

_MAX_BARREN_PAGES = 3
"""Grid pages in a row without a photo that the pages before do not show: the gallery goes round in a circle."""


_PARSER_NAMES = (
    "INDEX_PATH",
    "parse_letter_urls",
    "parse_cards",
    "parse_gallery_page",
    "parse_picture_urls",
)


class SiteParsers(Protocol):
    """A site's pages as pure functions, (HTML, the page's address) -> records; a module of these names is one.

    Each raises LayoutChanged, with the page's address and HTML, where a page holds nothing that it knows.
    `bolid_pipeline.scraping.parsers` is theplace's.
    """

    @property
    def INDEX_PATH(self) -> str:  # noqa: N802 - a constant of the module
        """Path of the page that leads to the lists of people."""
        ...

    def parse_letter_urls(self, html: bytes, page_url: str, /) -> tuple[str, ...]:
        """The index page: the pages that list people, at least one (the index itself may be one)."""
        ...

    def parse_cards(self, html: bytes, page_url: str, /) -> tuple[IdentityRecord, ...]:
        """A list page: its people; none is fine where the list is there."""
        ...

    def parse_gallery_page(self, html: bytes, page_url: str, /) -> GalleryPage:
        """One page of a person's gallery."""
        ...

    def parse_picture_urls(self, html: bytes, page_url: str, /) -> tuple[str, ...]:
        """A photo page: where the file may be, the best one first."""
        ...


def load_parsers(module: str) -> SiteParsers:
    """A site's parsers by the name of their module. Raises ConfigurationError."""
    try:
        parsers = importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"BOLID_SITE_PARSERS: no module {module} ({error}); it must be importable, like a file in this folder"
        ) from error
    missing = [name for name in _PARSER_NAMES if not hasattr(parsers, name)]
    if missing:
        raise ConfigurationError(
            f"{module} lacks {', '.join(missing)}; docs/crawling.md says what a site's parsers are"
        )
    return cast(SiteParsers, parsers)


class SiteSource:
    """A `PhotoSource` over HTTP; use as a context manager, or call `close`.

    The index, the lists of people and the first page of each gallery are asked for with the validators of the last
    visit; an unchanged one is taken from memory.
    """

    def __init__(self, config: CrawlConfig, parsers: SiteParsers) -> None:
        self._config = config
        self._parsers = parsers
        self._client = PoliteClient(config)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def bounds(self) -> CrawlBounds:
        """How much of the site is to be taken."""
        return self._config

    @property
    def max_concurrency(self) -> int:
        """How many requests may be under way at the same time."""
        return self._config.max_concurrency

    @property
    def counts(self) -> TransferCounts:
        """What has been moved so far."""
        return self._client.counts

    def identities(self, memory: PageMemory) -> Iterator[IdentityRecord]:
        """Everyone on the lists. Raises LayoutChanged where no list names anyone."""
        index_url = f"{self._config.canonical_base_url}{self._parsers.INDEX_PATH}"
        seen: set[str] = set()
        failures: list[ScrapingError] = []
        for list_url in self._parsers.parse_letter_urls(self._page(index_url, memory), index_url):
            try:
                cards = self._parsers.parse_cards(self._page(list_url, memory, index_url), list_url)
            except BudgetSpent:
                raise
            except ScrapingError as error:
                _logger.warning("list of people %s: %s", list_url, error)
                failures.append(error)
                continue
            yield from (card for card in cards if card.identity not in seen)
            seen.update(card.identity for card in cards)
        if failures:
            raise next((e for e in failures if isinstance(e, LayoutChanged | RobotsDenied)), failures[0])
        if not seen:
            raise LayoutChanged(f"{index_url}: no list names anyone; the site's layout has changed")

    def gallery_pages(self, identity: IdentityRecord, memory: PageMemory) -> Iterator[GalleryPage]:
        """The gallery's pages by number: the window of links is followed as it moves, each number once."""
        url, shown = identity.page_url, set[str]()
        visited: set[int] = set()
        waiting = {1: url}
        num_barren = 0
        while waiting and num_barren < _MAX_BARREN_PAGES:
            if len(visited) == self._config.max_gallery_pages:
                _logger.warning("%s: more than %d pages; the others are left out", url, len(visited))
                return
            number = min(waiting)
            html = self._page(url, memory) if number == 1 else self._fresh_page(waiting[number], url)
            page = self._parsers.parse_gallery_page(html, waiting[number])
            visited.add(number)
            waiting = {n: link for n, link in {**page.linked_pages, **waiting}.items() if n not in visited}
            num_barren = 0 if set(page.photo_page_urls) - shown else num_barren + 1
            shown.update(page.photo_page_urls)
            yield page

    def picture_urls(self, photo_page: PhotoPage) -> tuple[str, ...]:
        """The addresses that the photo page leads to, the original's first."""
        return self._parsers.parse_picture_urls(self._fresh_page(photo_page.page_url), photo_page.page_url)

    def download(self, picture_url: str, photo_page: PhotoPage) -> bytes:
        """The picture's bytes, asked for from its photo page."""
        return self._client.get_picture(picture_url, referer=photo_page.page_url)

    def _fresh_page(self, url: str, referer: str | None = None) -> bytes:
        return self._client.get_page(url, referer=referer).body or b""

    def _page(self, url: str, memory: PageMemory, referer: str | None = None) -> bytes:
        """The page, from memory where the site says that it has not changed."""
        page = self._client.get_page(url, referer=referer, validators=memory.validators(url))
        if page.body is None:
            return memory.html(url)
        memory.remember(url, page)
        return page.body
