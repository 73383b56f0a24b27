"""One refresh of the catalogue: the galleries, and the photo pages that they list."""

import logging
import zlib
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from tqdm import tqdm

from bolid_pipeline.errors import BudgetSpent, DownloadFailed, LayoutChanged, RobotsDenied, ScrapingError
from bolid_pipeline.records import OTHER_SOURCE, GalleryPage, IdentityRecord
from bolid_pipeline.scraping.changed_pages import keep_changed_pages
from bolid_pipeline.scraping.origins import is_of, name_taken, set_aside
from bolid_pipeline.scraping.outcomes import UNLISTED_STATUSES
from bolid_pipeline.scraping.page_cache import PageCache
from bolid_pipeline.scraping.report import CrawlReport, CrawlTimer, FailureStreak
from bolid_pipeline.scraping.selection import Selection, read_photo_pages
from bolid_pipeline.scraping.sources.base import PagedSource
from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.location import Location
from bolid_pipeline.storage.tables import TableStore

_logger = logging.getLogger(__name__)

_Row = dict[str, Any]


class CatalogueCrawl:
    """One refresh, from the lists of people to the report; made anew for each refresh."""

    def __init__(self, source: PagedSource, tables: TableStore) -> None:
        self._source = source
        self._tables = tables
        self._bounds = source.bounds
        rows = {row["identity"]: row for row in tables.read("identity_catalogue").to_pylist()}
        self._previous = {name: row for name, row in rows.items() if is_of(row, source.label)}
        self._of_others = {name: row for name, row in rows.items() if name not in self._previous}
        self._known_pages = read_photo_pages(tables)
        self._cache = PageCache(tables)
        self._selection = Selection(source.bounds, tables)
        self._unfinished = _UnfinishedRefresh(tables.root.parent)
        self._streak = FailureStreak(self._bounds.max_failures_in_a_row)
        self._statuses: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._num_listed = 0
        self._new_rows: list[_Row] = []
        self._new_pages: list[_Row] = []

    def run(self) -> CrawlReport:
        """Visit the galleries, commit what is new, and report what was done."""
        timer = CrawlTimer(self._source.counts)
        began_at = datetime.now(UTC)
        stopped_by: str | None = None
        try:
            with keep_changed_pages(self._tables):
                self._visit_all()
        except BudgetSpent as spent:
            stopped_by = str(spent)
            self._unfinished.leave(began_at)
        else:
            self._unfinished.finish()
        finally:
            self._commit()
        for table in ("catalogue_pages", "photo_pages", "identity_catalogue"):
            self._tables.tidy(table)
        if stopped_by is None:
            self._streak.finish()
        return timer.report(identities=self._statuses, failures=self._failures, stopped_by=stopped_by)

    def _visit_all(self) -> None:
        """Visit everyone who is listed, in the order of the bounds."""
        cards, list_error = self._read_list()
        self._new_rows += set_aside(self._of_others.values())
        self._statuses.update(OTHER_SOURCE for _ in self._of_others)
        chosen = self._selection.in_order(cards)
        for name in sorted((self._bounds.included_identities or frozenset()) - cards.keys()):
            _logger.warning("%s is to be crawled, but the source lists nobody of that name", name)
        with tqdm(chosen, desc="galleries", unit="gallery", mininterval=1.0) as progress:
            for identity in progress:
                if self._num_listed == self._bounds.max_identities:
                    break
                progress.set_postfix_str(identity, refresh=False)
                self._visit(cards[identity])
        if isinstance(list_error, LayoutChanged | RobotsDenied):
            raise list_error
        if list_error is not None:  # people missing from a list that was cut short may still be there
            self._failures[list_error.reason] += 1
            return
        self._mark_vanished(self._previous.keys() - cards.keys())

    def _read_list(self) -> tuple[dict[str, IdentityRecord], ScrapingError | None]:
        """People listed, and the error that cut the list short, if any. Raises the error if there are no people."""
        cards: dict[str, IdentityRecord] = {}
        try:
            for card in self._source.identities(self._cache):
                cards[card.identity] = card
        except BudgetSpent:
            raise
        except ScrapingError as error:
            if not cards:
                raise
            return cards, error
        return cards, None

    def _visit(self, identity: IdentityRecord) -> None:
        if identity.identity in self._of_others:
            self._leave_to_owner(identity.identity)
            return
        row = self._previous.get(identity.identity)
        if row is None or self._is_due(row):
            row = self._refreshed(identity)
            self._new_rows.append(row)
        self._statuses[row["status"]] += 1
        self._num_listed += row["status"] == "listed"
        if len(self._new_rows) >= self._bounds.photos_per_commit:
            self._commit()

    def _leave_to_owner(self, identity: str) -> None:
        """Report a person whose name is taken by a person of another source, whose photos it would mix with."""
        self._failures["name_taken"] += 1
        _logger.warning("%s", name_taken(self._of_others[identity]))

    def _is_due(self, row: _Row) -> bool:
        """True if a known gallery is to be looked at again: always if its photos are taken, otherwise now and then.

        The day depends on the name, so that not all of them are due in one night. A refresh that a budget has
        stopped looks at each gallery once, over however many runs it takes.
        """
        if row["status"] == OTHER_SOURCE:
            return True  # the source is the current one again
        if self._unfinished.covers(row["refreshed_at"]):
            return False
        if row["status"] not in UNLISTED_STATUSES:
            return True
        if row["status"] == "too_few_photos" and self._is_enough(row["stated_photos"], row["listed_photos"]):
            return True  # the bound was lowered
        spread = 0.5 + zlib.crc32(row["identity"].encode()) / 2**32
        period = timedelta(days=self._bounds.unlisted_recheck_days) * spread
        age = datetime.now(UTC) - row["refreshed_at"]
        return not timedelta(0) <= age < period

    def _refreshed(self, identity: IdentityRecord) -> _Row:
        """The gallery's current row. Raises only errors that end the crawl."""
        try:
            with keep_changed_pages(self._tables):
                row = self._look_at(identity)
        except BudgetSpent:
            raise
        except ScrapingError as error:
            _logger.warning("gallery %s: %s", identity.identity, error)
            return self._failed(identity, error)
        self._streak.success()
        return row

    def _look_at(self, identity: IdentityRecord) -> _Row:
        """The gallery's new row; notes its photo pages unless they are the known ones."""
        pages = self._source.gallery_pages(identity, self._cache)
        first = next(pages)
        known = self._known_pages[identity.identity]
        if not first.is_person:
            return self._row(identity, "not_a_person", first, len(first.photo_page_urls))
        if self._is_unchanged(identity, first, known):
            urls = known
        elif self._states_too_few(first):
            urls = list(first.photo_page_urls)
        else:
            listed = (url for page in (first, *pages) for url in page.photo_page_urls)
            urls = list(dict.fromkeys(listed))
            self._note_pages(identity.identity, urls)
        return self._row(identity, self._status(len(urls)), first, len(urls))

    def _is_unchanged(self, identity: IdentityRecord, first: GalleryPage, known: list[str]) -> bool:
        row = self._previous.get(identity.identity)
        return (
            row is not None
            and row["status"] in ("listed", "too_few_photos", OTHER_SOURCE)
            and row["listed_photos"] == len(known)
            and row["stated_photos"] == first.stated_photos
            and set(first.photo_page_urls) <= set(known)
        )

    def _states_too_few(self, first: GalleryPage) -> bool:
        stated = first.stated_photos
        return stated is not None and not self._is_enough(stated, len(first.photo_page_urls))

    def _is_enough(self, *counts: int | None) -> bool:
        return max(count or 0 for count in counts) >= self._bounds.min_photos

    def _status(self, num_listed: int) -> str:
        if num_listed == 0:
            return "empty"
        return "listed" if self._is_enough(num_listed) else "too_few_photos"

    def _note_pages(self, identity: str, urls: list[str]) -> None:
        """Note a gallery's photo pages in the grid's order, and mark those that it no longer lists."""
        now = datetime.now(UTC)
        vanished = [url for url in self._known_pages[identity] if url not in set(urls)]
        for marked_at, marked in ((None, urls), (now, vanished)):
            self._new_pages += [
                {
                    "page_url": url,
                    "identity": identity,
                    "position": position,
                    "listed_at": now,
                    "vanished_at": marked_at,
                }
                for position, url in enumerate(marked)
            ]

    def _failed(self, identity: IdentityRecord, error: ScrapingError) -> _Row:
        """The row of a gallery that cannot be read: as it was, unless it is gone or asks to be left alone."""
        self._failures[error.reason] += 1
        row = self._previous.get(identity.identity) or self._row(identity, "unreachable", None, None)
        match error:
            case DownloadFailed(reason="not_found"):
                return self._vanished(row)
            case DownloadFailed(reason="no_ai"):
                return row | {"status": "no_ai", "refreshed_at": datetime.now(UTC)}
            case LayoutChanged() if row["status"] == "unreachable":
                row["status"] = "layout_changed"
            case _:
                pass
        self._streak.failure(error)
        return row

    def _mark_vanished(self, identities: Iterable[str]) -> None:
        for identity in self._selection.in_order(identities):
            if self._previous[identity]["status"] != "vanished":
                self._new_rows.append(self._vanished(self._previous[identity]))
            self._statuses["vanished"] += 1

    def _vanished(self, row: _Row) -> _Row:
        """The row of a gallery that is gone; its photos stay, and its pages are marked."""
        self._note_pages(row["identity"], [])
        return row | {"status": "vanished", "refreshed_at": datetime.now(UTC)}

    def _row(
        self, identity: IdentityRecord, status: str, first: GalleryPage | None, num_listed: int | None
    ) -> _Row:
        return {
            "identity": identity.identity,
            "name": first.name if first else identity.name,
            "page_url": identity.page_url,
            "stated_photos": first.stated_photos if first else None,
            "listed_photos": num_listed,
            "status": status,
            "refreshed_at": datetime.now(UTC),
            "source": self._source.label,
        }

    def _commit(self) -> None:
        """Write the new rows."""
        # Pages before their gallery: a catalogue row promises that the gallery's pages are noted.
        self._cache.commit()
        self._tables.append("photo_pages", self._new_pages)
        self._tables.append("identity_catalogue", self._new_rows)
        self._new_pages, self._new_rows = [], []


class _UnfinishedRefresh:
    """The file `<data_dir>/unfinished_refresh.txt`: the start time of a refresh that a budget has stopped.

    It stays until a refresh reaches its end, and the refreshes in between go on where the last one was.
    """

    def __init__(self, data_dir: Location) -> None:
        self._path = data_dir / "unfinished_refresh.txt"
        self._began_at = datetime.fromisoformat(self._path.read_text()) if self._path.exists() else None

    def covers(self, refreshed_at: datetime | None) -> bool:
        """True if a gallery last looked at then has had its turn in this refresh."""
        return self._began_at is not None and refreshed_at is not None and refreshed_at >= self._began_at

    def leave(self, began_at: datetime) -> None:
        """Note that a budget has stopped the refresh; the start time is that of its first run."""
        write_atomically(self._path, (self._began_at or began_at).isoformat().encode())

    def finish(self) -> None:
        """Note that every gallery has had its turn."""
        self._path.unlink(missing_ok=True)
