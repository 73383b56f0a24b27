"""One round of downloads: the photo pages that are neither stored nor refused.

Threads fetch, and this thread records what they fetched in the order of the galleries. So the tables come out the same
with any number of threads and however often a crawl was killed.
"""

from collections import Counter, deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tqdm import tqdm

from bolid_pipeline.errors import BudgetSpent
from bolid_pipeline.records import PhotoPage
from bolid_pipeline.scraping.fetch_journal import FetchedPhoto, FetchJournal
from bolid_pipeline.scraping.photo_fetch import PhotoFetcher, RefusedPage
from bolid_pipeline.scraping.photo_ledger import PhotoLedger
from bolid_pipeline.scraping.report import CrawlReport, CrawlTimer, FailureStreak
from bolid_pipeline.scraping.selection import PersonPlan, plan_photos, settled_pages
from bolid_pipeline.scraping.sources.base import PagedSource
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore

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
        self._fetch = PhotoFetcher(source, tables, photos, self._journal, self._ledger.placeholders)
        self._under_way: deque[tuple[str, Future[FetchedPhoto | RefusedPage]]] = deque()
        self._streak = FailureStreak(self._bounds.max_failures_in_a_row)

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
            self._record_finished()
        finally:
            self._ledger.commit()
        self._journal.close(settled_pages(self._tables))
        if stopped_by is None:
            self._streak.finish()
        for table in ("raw_photos", "rejected_downloads"):
            self._tables.tidy(table)
        return timer.report(
            photos_new=len(self._ledger.new_photo_ids),
            photos_known=num_known,
            rejected=Counter(self._ledger.reason_of_page.values()),
            stopped_by=stopped_by,
        )

    def _fetch_all(
        self, people: Iterable[PersonPlan], pool: ThreadPoolExecutor, progress: "tqdm[Any]"
    ) -> None:
        for person in people:
            progress.set_postfix_str(f"{person.identity}, {person.num_wanted} to fetch", refresh=False)
            for page_url in person.page_urls:
                while self._has_enough_under_way(person.identity):
                    self._record_next(progress)
                if self._num_missing(person.identity) == 0:
                    break
                page = PhotoPage(identity=person.identity, page_url=page_url)
                self._under_way.append((person.identity, pool.submit(self._fetch, page)))
        while self._under_way:
            self._record_next(progress)

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
        identity, fetched = self._under_way[0]
        outcome = fetched.result()
        self._under_way.popleft()
        progress.update()
        self._record(identity, outcome)

    def _record_finished(self) -> None:
        """Record the pages that had been fetched when the budget ended."""
        for identity, fetched in self._under_way:
            if not fetched.cancelled() and fetched.exception() is None:
                self._record(identity, fetched.result())

    def _record(self, identity: str, outcome: FetchedPhoto | RefusedPage) -> None:
        """Record the outcome of a page. Raises its error once the site has failed too often in a row."""
        self._ledger.record(identity, outcome)
        if isinstance(outcome, RefusedPage) and outcome.error is not None:
            self._streak.failure(outcome.error)
            return
        self._streak.success()
        if self._ledger.num_uncommitted >= self._bounds.photos_per_commit:
            self._ledger.commit()
