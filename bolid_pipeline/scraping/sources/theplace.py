"""theplace's galleries (and those of a stand-in with the same layout: only `base_url` differs)."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from bolid_pipeline.errors import LayoutChanged
from bolid_pipeline.records import GalleryPage, IdentityRecord, PhotoPage
from bolid_pipeline.scraping.client import PoliteClient, TransferCounts
from bolid_pipeline.scraping.config import CrawlBounds, CrawlConfig
from bolid_pipeline.scraping.parsers import (
    original_url,
    parse_cards,
    parse_gallery_page,
    parse_letter_urls,
    parse_picture_url,
)


class TheplaceSource:
    """A `PhotoSource` over HTTP; use as a context manager, or call `close`."""

    def __init__(self, config: CrawlConfig) -> None:
        self._config = config
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
    def counts(self) -> TransferCounts:
        """What has been moved so far."""
        return self._client.counts

    def identities(self) -> Iterator[IdentityRecord]:
        """Everyone on the letter pages. Raises LayoutChanged where no letter lists anyone."""
        index_url = f"{self._config.canonical_base_url}/photos/"
        seen: set[str] = set()
        for letter_url in parse_letter_urls(self._client.get_page(index_url), index_url):
            for card in parse_cards(self._client.get_page(letter_url, referer=index_url), letter_url):
                if card.identity not in seen:
                    seen.add(card.identity)
                    yield card
        if not seen:
            raise LayoutChanged(f"{index_url}: no letter page lists anyone; the site's layout has changed")

    def gallery_pages(self, identity: IdentityRecord) -> Iterator[GalleryPage]:
        """The gallery's pages by number: the window of links is followed as it moves."""
        visited: set[int] = set()
        waiting = {1}
        while waiting and len(visited) < self._config.max_gallery_pages:
            number = min(waiting)
            url = identity.page_url if number == 1 else f"{identity.page_url}?page={number}"
            page = parse_gallery_page(self._client.get_page(url, referer=identity.page_url), url)
            visited.add(number)
            waiting = (waiting | page.linked_pages) - visited
            yield page

    def picture_urls(self, photo_page: PhotoPage) -> tuple[str, ...]:
        """The original's address, then that of the resized file which the photo page names."""
        html = self._client.get_page(photo_page.page_url)
        resized = parse_picture_url(html, photo_page.page_url)
        return tuple(dict.fromkeys((original_url(resized), resized)))

    def download(self, picture_url: str, photo_page: PhotoPage) -> bytes:
        """The picture's bytes, asked for from its photo page."""
        return self._client.get_picture(picture_url, referer=photo_page.page_url)
