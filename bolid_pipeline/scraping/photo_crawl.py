"""One round of downloads: the photo pages that are neither stored nor refused.

Threads fetch, this thread decides: what was fetched is looked at in the order of the galleries and committed in
batches, so that the tables come out the same with any number of threads and however often a crawl was killed.
"""

from collections import Counter, deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from tqdm import tqdm

from bolid_pipeline.errors import BudgetSpent
from bolid_pipeline.records import PhotoPage
from bolid_pipeline.scraping.fetch_journal import FetchedPhoto, FetchJournal
from bolid_pipeline.scraping.near_duplicates import refresh_clusters
from bolid_pipeline.scraping.outcomes import RETRIED_REASONS, SHARED
from bolid_pipeline.scraping.photo_fetch import PhotoFetcher, RefusedPage
from bolid_pipeline.scraping.report import CrawlReport, CrawlTimer, FailureStreak
from bolid_pipeline.scraping.selection import PersonPlan, plan_photos, settled_pages
from bolid_pipeline.scraping.sources.base import PhotoSource
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore

_PAGES_AHEAD = 16
"""Pages under way or waiting to be looked at, per thread: a slow one, or a commit, does not stop the others."""

_Row = dict[str, Any]


class PhotoCrawl:
    """The state of one round; see `bolid_pipeline.scraping.crawler.crawl_photos`."""

    def __init__(self, source: PhotoSource, tables: TableStore, photos: PhotoStore) -> None:
        self._source = source
        self._tables = tables
        self._photos = photos
        self._bounds = source.bounds
        self._journal = FetchJournal(tables.root.parent, photos)
        self._under_way: deque[tuple[str, Future[FetchedPhoto | RefusedPage]]] = deque()
        self._streak = FailureStreak(self._bounds.max_failures_in_a_row)
        self._reason_of_page: dict[str, str] = {}
        self._new_photo_ids: set[str] = set()
        self._is_changed = not self._journal.is_empty
        self._new_photos: list[_Row] = []
        self._new_rejections: list[_Row] = []
        self._read_state()
        self._fetch = PhotoFetcher(source, tables, photos, self._journal, self._placeholders)

    def run(self) -> CrawlReport:
        """Fetch what is outstanding, commit it, say what was done."""
        timer = CrawlTimer(self._source.counts)
        self._unmask_known_placeholders()
        num_known = len(self._identity_of_photo)
        plan = plan_photos(self._tables, self._bounds)
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
            self._settle_finished()
        finally:
            self._commit()
        self._journal.close(settled_pages(self._tables))
        if stopped_by is None:
            self._streak.finish()
        return timer.report(
            photos_new=len(self._new_photo_ids),
            photos_known=num_known,
            photos_shared=self._tidy(),
            rejected=Counter(self._reason_of_page.values()),
            stopped_by=stopped_by,
        )

    def _read_state(self) -> None:
        """What is stored and refused; a commit that was killed between two tables is completed."""
        refused = self._tables.read("rejected_downloads", ["page_url", "reason", "photo_id"]).to_pylist()
        self._placeholders = {row["photo_id"] for row in refused if row["reason"] == "placeholder"}
        self._drop_photos(self._placeholders)
        stored = self._tables.read("raw_photos", ["photo_id", "identity", "page_url"]).to_pylist()
        self._retried_pages = {row["page_url"] for row in refused if row["reason"] in RETRIED_REASONS}
        self._drop_settled(row["page_url"] for row in stored)
        self._identity_of_photo = {row["photo_id"]: row["identity"] for row in stored}
        self._num_stored = Counter(row["identity"] for row in stored)
        self._num_copies = Counter(row["photo_id"] for row in refused if row["photo_id"] is not None)

    def _fetch_all(
        self, people: Iterable[PersonPlan], pool: ThreadPoolExecutor, progress: "tqdm[Any]"
    ) -> None:
        for person in people:
            progress.set_postfix_str(f"{person.identity}, {person.num_wanted} to fetch", refresh=False)
            for page_url in person.page_urls:
                while self._has_enough_under_way(person.identity):
                    self._settle_next(progress)
                if self._num_missing(person.identity) == 0:
                    break
                page = PhotoPage(identity=person.identity, page_url=page_url)
                self._under_way.append((person.identity, pool.submit(self._fetch, page)))
        while self._under_way:
            self._settle_next(progress)

    def _num_missing(self, identity: str) -> int | None:
        """How many more photos of the person may be stored; None for any number."""
        limit = self._bounds.max_photos_per_identity
        return None if limit is None else max(0, limit - self._num_stored[identity])

    def _has_enough_under_way(self, identity: str) -> bool:
        """No more pages of a person are under way than photos may still be stored."""
        if len(self._under_way) >= _PAGES_AHEAD * self._source.max_concurrency:
            return True
        missing = self._num_missing(identity)
        num_own = sum(who == identity for who, _ in self._under_way)
        return missing is not None and num_own > 0 and num_own >= missing

    def _settle_next(self, progress: "tqdm[Any]") -> None:
        identity, fetched = self._under_way[0]
        outcome = fetched.result()
        self._under_way.popleft()
        progress.update()
        self._settle(identity, outcome)

    def _settle_finished(self) -> None:
        """After the end of the budget: what was under way and came to its end."""
        for identity, fetched in self._under_way:
            if not fetched.cancelled() and fetched.exception() is None:
                self._settle(identity, fetched.result())

    def _settle(self, identity: str, outcome: FetchedPhoto | RefusedPage) -> None:
        """Note what became of a page. Raises its error if it is the site that fails, too often."""
        if isinstance(outcome, FetchedPhoto):
            self._accept(identity, outcome)
        else:
            self._reject(identity, outcome.page_url, outcome.source_url, outcome.reason)
            if outcome.error is not None:
                self._streak.failure(outcome.error)
                return
        self._streak.success()
        if len(self._new_photos) + len(self._new_rejections) >= self._bounds.photos_per_commit:
            self._commit()

    def _accept(self, identity: str, photo: FetchedPhoto) -> None:
        """A photo's row, unless the very same bytes are there already."""
        owner = self._identity_of_photo.get(photo.photo_id)
        if photo.photo_id in self._placeholders:
            self._reject(identity, photo.page_url, photo.source_url, "placeholder", photo.photo_id)
            self._photos.delete(photo.path)
        elif owner is not None:
            reason = "duplicate_photo" if owner == identity else SHARED
            self._reject(identity, photo.page_url, photo.source_url, reason, photo.photo_id)
            if self._is_on_too_many_pages(photo.photo_id):
                self._unmask_placeholder(photo.photo_id)
        else:
            row = {**vars(photo), "identity": identity, "fetched_at": datetime.now(UTC)}
            self._new_photos.append(row)
            self._identity_of_photo[photo.photo_id] = identity
            self._num_stored[identity] += 1
            self._new_photo_ids.add(photo.photo_id)

    def _unmask_placeholder(self, photo_id: str) -> None:
        """The same bytes from so many pages are no photo of anyone: out of the store, with the reason on each page."""
        self._commit()
        columns = ["photo_id", "identity", "page_url", "source_url"]
        rows = [
            row
            for table in ("raw_photos", "rejected_downloads")
            for row in self._tables.read(table, columns).to_pylist()
            if row["photo_id"] == photo_id
        ]
        pages = {row["page_url"]: row for row in rows}
        if len(pages) < self._bounds.min_placeholder_pages:
            return
        for page_url, row in pages.items():
            self._reject(row["identity"], page_url, row["source_url"], "placeholder", photo_id)
        self._commit()
        self._drop_photos({photo_id})
        self._placeholders.add(photo_id)
        self._num_stored[self._identity_of_photo.pop(photo_id)] -= 1
        self._new_photo_ids.discard(photo_id)

    def _unmask_known_placeholders(self) -> None:
        """Those that a crawl had counted when it was killed: no further page may come to tell."""
        copies = {photo_id for photo_id in self._identity_of_photo if self._is_on_too_many_pages(photo_id)}
        for photo_id in copies:
            self._unmask_placeholder(photo_id)

    def _is_on_too_many_pages(self, photo_id: str) -> bool:
        return 1 + self._num_copies[photo_id] >= self._bounds.min_placeholder_pages

    def _reject(
        self, identity: str, page_url: str, source_url: str | None, reason: str, photo_id: str | None = None
    ) -> None:
        row = {"page_url": page_url, "identity": identity, "source_url": source_url, "reason": reason}
        row |= {"photo_id": photo_id, "checked_at": datetime.now(UTC)}
        self._new_rejections.append(row)
        self._reason_of_page[page_url] = reason
        if photo_id is not None:
            self._num_copies[photo_id] += 1

    def _commit(self) -> None:
        """Files before their rows, and those before the old refusals that they settle: a page is never in neither."""
        self._is_changed |= bool(self._new_photos or self._new_rejections)
        self._photos.make_durable([row["path"] for row in self._new_photos])
        self._tables.append("raw_photos", self._new_photos)
        self._drop_settled(row["page_url"] for row in self._new_photos)
        self._tables.append("rejected_downloads", self._new_rejections)
        self._new_photos, self._new_rejections = [], []

    def _drop_settled(self, stored_pages: Iterable[str]) -> None:
        settled = self._retried_pages.intersection(stored_pages)
        if settled:
            self._tables.delete("rejected_downloads", "page_url", settled)
            self._retried_pages -= settled

    def _drop_photos(self, photo_ids: set[str]) -> None:
        """Files before their rows, so that a kill in between leaves no file without a row."""
        rows = self._tables.read("raw_photos", ["photo_id", "path"]).to_pylist()
        gone = [row for row in rows if row["photo_id"] in photo_ids]
        for row in gone:
            self._photos.delete(row["path"])
        if gone:
            self._tables.delete("raw_photos", "photo_id", [row["photo_id"] for row in gone])

    def _tidy(self) -> int:
        """Clusters that fit the photos, and no more files than needed; returns the number of shared photos."""
        for table in ("raw_photos", "rejected_downloads"):
            self._tables.tidy(table)
        if self._is_changed or self._tables.count("photo_clusters") != len(self._identity_of_photo):
            return refresh_clusters(self._tables)
        return sum(self._tables.read("photo_clusters", ["is_shared"])["is_shared"].to_pylist())
