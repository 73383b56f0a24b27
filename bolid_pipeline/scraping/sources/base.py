"""What the crawler asks of a source of photos. A site with galleries of its own look needs less: see `site.py`."""

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from bolid_pipeline.records import GalleryPage, IdentityRecord, PhotoPage
from bolid_pipeline.scraping.client import TransferCounts
from bolid_pipeline.scraping.config import CrawlBounds
from bolid_pipeline.scraping.page_memory import PageMemory


class PhotoSource(Protocol):
    """People, galleries, photos. All addresses are stable keys: the same from one crawl to the next.

    Methods raise SourceUnreachable, RobotsDenied, LayoutChanged, BudgetSpent and DownloadFailed (with a reason of
    the closed set in `bolid_pipeline.scraping.outcomes`); DownloadFailed "not_found" for what is no longer there.
    `picture_urls` and `download` are called from several threads.
    """

    @property
    def bounds(self) -> CrawlBounds:
        """How much of the source is to be taken."""
        ...

    @property
    def max_concurrency(self) -> int:
        """How many photos may be fetched at the same time."""
        ...

    @property
    def counts(self) -> TransferCounts:
        """What has been moved so far."""
        ...

    def identities(self, memory: PageMemory) -> Iterator[IdentityRecord]:
        """Everyone the source lists, each once.

        A part of the list that cannot be had does not hide the others: its error is raised after they were given.
        """
        ...

    def gallery_pages(self, identity: IdentityRecord, memory: PageMemory) -> Iterator[GalleryPage]:
        """The pages of a gallery, the first one first; lazily."""
        ...

    def picture_urls(self, photo_page: PhotoPage) -> tuple[str, ...]:
        """Where the photo's file may be, the best one first; at least one address."""
        ...

    def download(self, picture_url: str, photo_page: PhotoPage) -> bytes:
        """The file at an address of `picture_urls`, exactly as the source holds it."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
