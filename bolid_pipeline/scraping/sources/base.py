"""What the crawler asks of a source of photos. A gallery site of another layout needs only the parsers of `site.py`."""

from collections.abc import Iterator
from typing import Protocol

from bolid_pipeline.records import GalleryPage, IdentityRecord, PhotoPage
from bolid_pipeline.scraping.config import CrawlBounds
from bolid_pipeline.scraping.page_cache import PageCache
from bolid_pipeline.scraping.transfer_counts import TransferCounts


class PhotoSource(Protocol):
    """People, galleries and photos. Addresses are keys: they stay the same from one crawl to the next.

    Methods raise SourceUnreachable, RobotsDenied, LayoutChanged, BudgetSpent and DownloadFailed, whose reason is one
    of `bolid_pipeline.scraping.outcomes`; it is `not_found` for what is no longer there. `picture_urls` and `download`
    are called from several threads.
    """

    @property
    def bounds(self) -> CrawlBounds:
        """How much of the source is taken."""
        ...

    @property
    def max_concurrency(self) -> int:
        """How many photos may be fetched at the same time."""
        ...

    @property
    def counts(self) -> TransferCounts:
        """What has been transferred so far."""
        ...

    def identities(self, cache: PageCache) -> Iterator[IdentityRecord]:
        """Everyone the source lists, each once.

        Where a part of the list cannot be read, the others are yielded first and its error is raised then.
        """
        ...

    def gallery_pages(self, identity: IdentityRecord, cache: PageCache) -> Iterator[GalleryPage]:
        """The pages of a gallery in order, each read only when it is asked for."""
        ...

    def picture_urls(self, photo_page: PhotoPage) -> tuple[str, ...]:
        """Where the photo's file may be: at least one address, the best one first."""
        ...

    def download(self, picture_url: str, photo_page: PhotoPage) -> bytes:
        """The file at an address of `picture_urls`, exactly as the source holds it."""
        ...
