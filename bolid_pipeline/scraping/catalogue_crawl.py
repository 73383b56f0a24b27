"""One refresh of the catalogue: the galleries, and the photo pages that they list."""

import logging
import zlib
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from tqdm import tqdm

from bolid_pipeline.errors import BudgetSpent, DownloadFailed, LayoutChanged, RobotsDenied, ScrapingError
from bolid_pipeline.names import display_name
from bolid_pipeline.records import OTHER_SOURCE, GalleryPage, IdentityRecord
from bolid_pipeline.scraping.changed_pages import keep_changed_pages
from bolid_pipeline.scraping.failure_streak import FailureStreak
from bolid_pipeline.scraping.origins import is_of, name_taken, set_aside
from bolid_pipeline.scraping.outcomes import UNLISTED_STATUSES
from bolid_pipeline.scraping.page_cache import PageCache
from bolid_pipeline.scraping.report import CrawlReport, CrawlTimer
from bolid_pipeline.scraping.selection import Selection, read_photo_pages
from bolid_pipeline.scraping.sources.base import PagedSource
from bolid_pipeline.scraping.unfinished_refresh import UnfinishedRefresh
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
        self._unfinished = UnfinishedRefresh(tables.root.parent)
        self._streak = FailureStreak(self._bounds)
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
        return timer.report(identities=self._statuses, failures=self._failures, stopped_by=stopped_by)

    def _visit_all(self) -> None:
        """Visit everyone who is listed, in the order of the bounds, but those who failed last time after the others."""
        cards, list_error = self._read_list()
        self._new_rows += set_aside(self._of_others.values())
        self._statuses.update(OTHER_SOURCE for _ in self._of_others)
        for sentence in self._selection.explain_absences(cards.keys()):
            _logger.warning("%s", sentence)
        chosen = self._selection.in_order(cards)
        failed_before: list[IdentityRecord] = []
        with tqdm(chosen, desc="galleries", unit="gallery", mininterval=1.0) as progress:
            for identity in progress:
                if self._num_listed == self._bounds.max_identities:
                    break
                progress.set_postfix_str(identity, refresh=False)
                if self._failed_at(identity) is None:
                    self._visit(cards[identity])
                else:
                    failed_before.append(cards[identity])
        self._streak.finish()
        self._visit_again(failed_before)
        if list_error is not None:  # people missing from a list that was cut short may still be there
            self._failures[list_error.reason] += 1
            return
        self._mark_vanished(self._previous.keys() - cards.keys())

    def _visit_again(self, people: list[IdentityRecord]) -> None:
        """Visit the people whose galleries failed last time, the longest ago first.

        That they fail again is no news, and ends the visits quietly where other galleries could be read.
        """
        first_visits, self._streak = self._streak, FailureStreak(self._bounds)
        try:
            for person in sorted(people, key=lambda person: self._previous[person.identity]["failed_at"]):
                self._visit(person)
            self._streak.finish()
        except BudgetSpent:
            raise
        except ScrapingError as error:
            if not first_visits.has_succeeded:
                raise
            _logger.warning("galleries that failed last time fail again: %s", error)

    def _failed_at(self, identity: str) -> datetime | None:
        """Time at which the person's gallery could last not be read; None if it could, or was never asked for."""
        row = self._previous.get(identity)
        return row["failed_at"] if row else None

    def _read_list(self) -> tuple[dict[str, IdentityRecord], ScrapingError | None]:
        """People listed, and the error that cut the list short, if any. Raises the error if there are no people."""
        cards: dict[str, IdentityRecord] = {}
        try:
            with keep_changed_pages(self._tables):
                for card in self._source.identities(self._cache):
                    cards[card.identity] = card
        except BudgetSpent:
            raise
        except ScrapingError as error:
            if not cards:
                raise
            _logger.warning("people are missing from the lists: %s", error)
            return cards, error
        return cards, None

    def _visit(self, person: IdentityRecord) -> None:
        """Look at the person's gallery if it is due. Raises the errors that end the crawl."""
        identity = person.identity
        if identity in self._of_others:
            self._leave_to_owner(identity)
            return
        row = self._previous.get(identity)
        error: ScrapingError | None = None
        if row is None or self._is_due(row):
            row, error = self._refreshed(person)
            self._new_rows.append(row)
        self._statuses[row["status"]] += 1
        self._num_listed += row["status"] == "listed"
        if len(self._new_rows) >= self._bounds.photos_per_commit:
            self._commit()
        if error is not None:
            self._streak.failure(identity, error)

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

    def _refreshed(self, person: IdentityRecord) -> tuple[_Row, ScrapingError | None]:
        """The gallery's current row, and the error if it could not be read."""
        try:
            with keep_changed_pages(self._tables):
                row = self._look_at(person)
        except BudgetSpent:
            raise
        except ScrapingError as error:
            return self._unread(person, error)
        self._streak.success(person.identity)
        return row, None

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

    def _unread(self, person: IdentityRecord, error: ScrapingError) -> tuple[_Row, ScrapingError | None]:
        """The row of a gallery that was not read, and the error unless the site's answer is a clear one.

        The row is as it was, unless the gallery is gone or asks to be left alone.
        """
        now = datetime.now(UTC)
        row = self._previous.get(person.identity) or self._row(person, "unreachable", None, None)
        row = row | {"failed_at": None}
        if isinstance(error, RobotsDenied):
            return row | {"status": "robots_denied", "refreshed_at": now}, None
        _logger.warning("gallery %s: %s", person.identity, error)
        self._failures[error.reason] += 1
        match error:
            case DownloadFailed(reason="not_found"):
                return self._vanished(row), None
            case DownloadFailed(reason="no_ai"):
                return row | {"status": "no_ai", "refreshed_at": now}, None
            case LayoutChanged() if row["status"] == "unreachable":
                row["status"] = "layout_changed"
            case _:
                pass
        return row | {"failed_at": now}, error

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
            "name": display_name(first.name if first else identity.name),
            "page_url": identity.page_url,
            "stated_photos": first.stated_photos if first else None,
            "listed_photos": num_listed,
            "status": status,
            "refreshed_at": datetime.now(UTC),
            "source": self._source.label,
            "failed_at": None,
        }

    def _commit(self) -> None:
        """Write the new rows."""
        # Pages before their gallery: a catalogue row promises that the gallery's pages are noted.
        self._cache.commit()
        self._tables.append("photo_pages", self._new_pages)
        self._tables.append("identity_catalogue", self._new_rows)
        self._new_pages, self._new_rows = [], []
