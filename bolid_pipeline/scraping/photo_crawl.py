"""One round of downloads: the photo pages that are neither stored nor refused.

Threads fetch, and this thread records what they fetched in the order of the galleries. So the tables come out the same
with any number of threads and however often a crawl was killed.
"""

import logging
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tqdm import tqdm

from bolid_pipeline.errors import BudgetSpent, ScrapingError
from bolid_pipeline.records import PhotoPage
from bolid_pipeline.scraping.failure_streak import FailureStreak
from bolid_pipeline.scraping.fetch_journal import FetchedPhoto, FetchJournal
from bolid_pipeline.scraping.photo_fetch import PhotoFetcher, RefusedPage
from bolid_pipeline.scraping.photo_ledger import PhotoLedger
from bolid_pipeline.scraping.report import CrawlReport, CrawlTimer
from bolid_pipeline.scraping.selection import PersonPlan, plan_photos, settled_pages
from bolid_pipeline.scraping.sources.base import PagedSource
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore

_logger = logging.getLogger(__name__)

_PAGES_AHEAD = 16
"""Pages per thread that are being fetched or wait to be recorded, so that a slow page or a commit holds up no other."""


class PhotoCrawl:
    """One round, from the plan to the report; made anew for each round."""

    def __init__(self, source: PagedSource, tables: TableStore, photos: PhotoStore) -> None:
        self._source = source
        self._tables = tables
        self._bounds = source.bounds
        self._journal = FetchJournal(tables.root.parent, photos)
        self._ledger = PhotoLedger(tables, photos, self._bounds.min_placeholder_pages)
        self._fetch = PhotoFetcher(source, tables, self._journal, self._ledger.placeholders)
        self._under_way: deque[tuple[str, Future[FetchedPhoto | RefusedPage]]] = deque()
        self._streak = FailureStreak(self._bounds)

    def run(self) -> CrawlReport:
        """Fetch and commit the outstanding photos, and return the report."""
        timer = CrawlTimer(self._source.counts)
        self._ledger.complete_last_commit()
        num_known = self._ledger.num_photos
        plan = plan_photos(self._tables, self._bounds, self._source.label)
        stopped_by: str | None = None
        try:
            with (
                ThreadPoolExecutor(self._source.max_concurrency, "photos") as pool,
                tqdm(total=plan.num_photos, desc="photos", unit="photo", mininterval=1.0) as progress,
            ):
                try:
                    self._fetch_all(plan.people, pool, progress)
                finally:
                    pool.shutdown(cancel_futures=True)
        except BudgetSpent as spent:
            stopped_by = str(spent)
        finally:
            self._record_finished()
            self._ledger.commit()
        self._journal.close(settled_pages(self._tables))
        for table in ("raw_photos", "rejected_downloads"):
            self._tables.tidy(table)
        return timer.report(
            photos_new=len(self._ledger.new_photo_ids),
            photos_known=num_known,
            rejected=Counter(self._ledger.reason_of_page.values()),
            stopped_by=stopped_by,
        )

    def _fetch_all(
        self, people: Sequence[PersonPlan], pool: ThreadPoolExecutor, progress: "tqdm[Any]"
    ) -> None:
        """Fetch the new pages of everybody, then those that failed before.

        That these fail again is no news, and ends the round quietly where other photos could be had.
        """
        self._fetch_pages([(person.identity, person.page_urls) for person in people], pool, progress)
        self._streak = FailureStreak(self._bounds)
        try:
            self._fetch_pages(
                [(person.identity, person.failed_page_urls) for person in people], pool, progress
            )
        except BudgetSpent:
            raise
        except ScrapingError as error:
            if self._ledger.num_photos == 0:
                raise
            _logger.warning("photo pages that failed before fail again: %s", error)

    def _fetch_pages(
        self, pages: Iterable[tuple[str, Sequence[str]]], pool: ThreadPoolExecutor, progress: "tqdm[Any]"
    ) -> None:
        """Fetch each person's pages in their order, and record what they give. Raises if the site fails too often."""
        for identity, page_urls in pages:
            progress.set_postfix_str(f"{identity}, {len(page_urls)} to fetch", refresh=False)
            for page_url in page_urls:
                while self._has_enough_under_way(identity):
                    self._record_next(progress)
                if self._num_missing(identity) == 0 or self._streak.gives_up(identity):
                    break
                page = PhotoPage(identity=identity, page_url=page_url)
                self._under_way.append((identity, pool.submit(self._fetch, page)))
        while self._under_way:
            self._record_next(progress)
        self._streak.finish()

    def _num_missing(self, identity: str) -> int | None:
        """Number of photos of the person that may still be stored; None for any number."""
        limit = self._bounds.max_photos_per_identity
        return None if limit is None else max(0, limit - self._ledger.num_stored(identity))

    def _has_enough_under_way(self, identity: str) -> bool:
        """True if the next page must wait: all threads are busy, or the person may need no further photo."""
        if len(self._under_way) >= _PAGES_AHEAD * self._source.max_concurrency:
            return True
        missing = self._num_missing(identity)
        num_own = sum(who == identity for who, _ in self._under_way)
        return missing is not None and num_own > 0 and num_own >= missing

    def _record_next(self, progress: "tqdm[Any]") -> None:
        """Wait for the oldest page under way and record it. Raises what its thread raised."""
        identity, fetched = self._under_way.popleft()
        if fetched.cancelled():
            return
        outcome = fetched.result()
        progress.update()
        self._record(identity, outcome)

    def _record_finished(self) -> None:
        """Record the pages that had been fetched when the round ended early."""
        for identity, fetched in self._under_way:
            if not fetched.cancelled() and fetched.exception() is None:
                self._ledger.record(identity, fetched.result())

    def _record(self, identity: str, outcome: FetchedPhoto | RefusedPage) -> None:
        """Record the outcome of a page. Raises its error if the round is to end."""
        self._ledger.record(identity, outcome)
        if isinstance(outcome, RefusedPage) and outcome.error is not None:
            was_given_up = self._streak.gives_up(identity)
            self._streak.failure(identity, outcome.error)
            if self._streak.gives_up(identity) and not was_given_up:
                self._leave_to_next_run(identity, outcome.error)
            return
        self._streak.success(identity)
        if self._ledger.num_uncommitted >= self._bounds.photos_per_commit:
            self._ledger.commit()

    def _leave_to_next_run(self, identity: str, error: ScrapingError) -> None:
        """Cancel the person's pages that are not being fetched yet."""
        _logger.warning("%s is left to the next run: page after page fails, now %s", identity, error)
        for who, fetched in self._under_way:
            if who == identity:
                fetched.cancel()
