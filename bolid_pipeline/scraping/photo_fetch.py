"""Fetching one photo page: the best file behind it that is a whole photo, or the reason why there is none."""

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bolid_pipeline.errors import BudgetSpent, DownloadFailed, PhotoRefused, ScrapingError
from bolid_pipeline.images.examination import examine
from bolid_pipeline.images.file_types import SITE_TYPES
from bolid_pipeline.records import PhotoPage
from bolid_pipeline.scraping.changed_pages import keep_changed_pages
from bolid_pipeline.scraping.fetch_journal import FetchedPhoto, FetchJournal, ReadPage, RefusedFile
from bolid_pipeline.scraping.outcomes import RETRIED_REASONS
from bolid_pipeline.scraping.sources.base import PagedSource
from bolid_pipeline.storage.tables import TableStore

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RefusedPage:
    """A photo page without a photo; the fields but `error` are columns of `rejected_downloads`."""

    page_url: str
    source_url: str | None
    reason: str
    error: ScrapingError | None
    """Set if the site failed, which says nothing about the photo: the next crawl tries again."""


class PhotoFetcher:
    """Fetches photo pages, from any number of threads; what has answered a killed crawl is not asked for again.

    Args:
        source: where the pages are.
        tables: pages that no parser understands are kept beside them.
        journal: what a killed crawl has asked for, and where files go.
        placeholders: ids of files that are known to stand for a missing photo; may grow.
    """

    def __init__(
        self,
        source: PagedSource,
        tables: TableStore,
        journal: FetchJournal,
        placeholders: Collection[str],
    ) -> None:
        self._source = source
        self._tables = tables
        self._journal = journal
        self._placeholders = placeholders

    def __call__(self, page: PhotoPage) -> FetchedPhoto | RefusedPage:
        """Store the photo's file and return its facts, or the reason why there is none.

        Raises:
            BudgetSpent: this run may send no more requests.
        """
        known = self._journal.photo(page.page_url, self._placeholders)
        if known is not None:
            return known
        try:
            return self._fetch_best(page)
        except BudgetSpent:
            raise
        except (ScrapingError, PhotoRefused) as error:
            return _refused(page, None, error)

    def _fetch_best(self, page: PhotoPage) -> FetchedPhoto | RefusedPage:
        """The first file that is a whole photo; without one, the refusal of the first file that exists."""
        failures: list[tuple[str, DownloadFailed | PhotoRefused]] = []
        for url in self._journal.picture_urls(page.page_url) or self._read(page):
            try:
                with self._refusals_noted(url):
                    return self._keep(page, url, self._source.download(url, page))
            except (DownloadFailed, PhotoRefused) as error:
                failures.append((url, error))
        existing = (failure for failure in failures if failure[1].reason != "not_found")
        return _refused(page, *next(existing, failures[0]))

    def _read(self, page: PhotoPage) -> tuple[str, ...]:
        """The addresses of the page's files. Raises PhotoRefused if a killed crawl has already refused the page."""
        with self._refusals_noted(page.page_url), keep_changed_pages(self._tables):
            urls = self._source.picture_urls(page)
        self._journal.add(ReadPage(page_url=page.page_url, picture_urls=urls, read_at=time.time()))
        return urls

    @contextmanager
    def _refusals_noted(self, url: str) -> Iterator[None]:
        """Note for good what the block finds about an address. Raises PhotoRefused if a killed crawl has noted it."""
        refusal = self._journal.refusal(url)
        if refusal is not None:
            raise PhotoRefused(refusal)
        try:
            yield
        except (DownloadFailed, PhotoRefused) as error:
            if error.reason not in RETRIED_REASONS:
                self._journal.add(RefusedFile(source_url=url, reason=error.reason))
            raise

    def _keep(self, page: PhotoPage, url: str, data: bytes) -> FetchedPhoto:
        """Check the bytes and store them. Raises PhotoRefused."""
        bounds = self._source.bounds
        facts = examine(data, SITE_TYPES, bounds.max_pixels, min_side_px=bounds.min_side_px)
        return self._journal.store(page.page_url, url, data, facts)


def _refused(page: PhotoPage, url: str | None, error: ScrapingError | PhotoRefused) -> RefusedPage:
    _logger.info("no photo from %s (%s): %s", page.page_url, error.reason, error)
    return RefusedPage(
        page_url=page.page_url,
        source_url=url,
        reason=error.reason,
        error=error if isinstance(error, ScrapingError) and error.reason in RETRIED_REASONS else None,
    )
