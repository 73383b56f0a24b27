"""The interfaces of photo sources. A gallery site of another layout needs only the parsers of `site.py`."""

from collections.abc import Iterator
from typing import Protocol

from bolid_pipeline.records import GalleryPage, IdentityRecord, PhotoPage
from bolid_pipeline.scraping.config import CrawlBounds
from bolid_pipeline.scraping.page_cache import PageCache
from bolid_pipeline.scraping.report import CrawlReport
from bolid_pipeline.scraping.transfer_counts import TransferCounts
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore


class PhotoSource(Protocol):
    """Where people and photos come from: a site, which is crawled page by page, or a folder, which is walked."""

    @property
    def label(self) -> str:
        """The address that the source's people are remembered by; the same whatever machine answers for it."""
        ...

    @property
    def bounds(self) -> CrawlBounds:
        """Limits on what is taken from the source."""
        ...

    @property
    def counts(self) -> TransferCounts:
        """Transfers so far."""
        ...

    def refresh_catalogue(self, tables: TableStore) -> CrawlReport:
        """Bring `identity_catalogue` and `photo_pages` up to date. Raises ScrapingError."""
        ...

    def refresh_photos(self, tables: TableStore, photos: PhotoStore) -> CrawlReport:
        """Bring `raw_photos`, `rejected_downloads` and the photo store up to date. Raises ScrapingError."""
        ...


class PagedSource(Protocol):
    """People, galleries and photos by pages. Addresses are keys: they stay the same from one crawl to the next.

    Methods raise SourceUnreachable, RobotsDenied, LayoutChanged, BudgetSpent and DownloadFailed, whose reason is one
    of `bolid_pipeline.scraping.outcomes`; it is `not_found` for what is no longer there. `picture_urls` and `download`
    are called from several threads.
    """

    @property
    def label(self) -> str:
        """The address that the source's people are remembered by; the same whatever machine answers for it."""
        ...

    @property
    def bounds(self) -> CrawlBounds:
        """Limits on what is taken from the source."""
        ...

    @property
    def max_concurrency(self) -> int:
        """Most photos that may be fetched at the same time."""
        ...

    @property
    def counts(self) -> TransferCounts:
        """Transfers so far."""
        ...

    def identities(self, cache: PageCache) -> Iterator[IdentityRecord]:
        """Everyone the source lists, each once.

        If a part of the list cannot be read, its error is raised after the other parts were yielded.
        """
        ...

    def gallery_pages(self, identity: IdentityRecord, cache: PageCache) -> Iterator[GalleryPage]:
        """The pages of a gallery in order, each read only when it is asked for."""
        ...

    def picture_urls(self, photo_page: PhotoPage) -> tuple[str, ...]:
        """The possible addresses of the photo's file: at least one, the best one first."""
        ...

    def download(self, picture_url: str, photo_page: PhotoPage) -> bytes:
        """The file at an address of `picture_urls`, exactly as the source holds it."""
        ...
