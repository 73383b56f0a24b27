"""One refresh of the catalogue: which galleries there are and which photo pages they list."""

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from tqdm import tqdm

from bolid_pipeline.errors import DownloadFailed, SourceUnreachable
from bolid_pipeline.records import GalleryPage, IdentityRecord
from bolid_pipeline.scraping.photo_pages import read_photo_pages
from bolid_pipeline.scraping.report import CrawlReport, CrawlTimer, FailureStreak
from bolid_pipeline.scraping.sources.base import PhotoSource
from bolid_pipeline.storage.tables import TableStore

_logger = logging.getLogger(__name__)

_Row = dict[str, Any]


class CatalogueCrawl:
    """The state of one refresh; see `bolid_pipeline.scraping.crawler.crawl_catalogue`."""

    def __init__(self, source: PhotoSource, tables: TableStore) -> None:
        self._source = source
        self._tables = tables
        self._bounds = source.bounds
        self._previous = {row["identity"]: row for row in tables.read("identity_catalogue").to_pylist()}
        self._known_pages = read_photo_pages(tables)
        self._streak = FailureStreak(self._bounds.max_failures_in_a_row)
        self._statuses: Counter[str] = Counter()
        self._new_rows: list[_Row] = []
        self._new_pages: list[_Row] = []

    def run(self) -> CrawlReport:
        """Visit the galleries, commit what is new, say what was done."""
        timer = CrawlTimer(self._source.counts)
        seen: set[str] = set()
        is_complete = True
        try:
            with tqdm(
                total=self._bounds.max_identities, desc="galleries", unit="gallery", mininterval=1.0
            ) as progress:
                for identity in self._source.identities():
                    if self._statuses["listed"] == self._bounds.max_identities:
                        is_complete = False
                        break
                    seen.add(identity.identity)
                    self._visit(identity)
                    progress.update(self._statuses["listed"] - progress.n)
            if is_complete:
                self._mark_vanished(self._previous.keys() - seen)
        finally:
            self._commit()
        self._streak.finish()
        return timer.report(identities=self._statuses)

    def _visit(self, identity: IdentityRecord) -> None:
        if identity.identity in self._bounds.excluded_identities:
            return
        try:
            row = self._look_at(identity)
            self._streak.success()
        except (SourceUnreachable, DownloadFailed) as error:
            row = self._failed(identity, error)
        self._statuses[row["status"]] += 1
        self._new_rows.append(row)
        if len(self._new_rows) >= self._bounds.photos_per_commit:
            self._commit()

    def _look_at(self, identity: IdentityRecord) -> _Row:
        """The gallery's new row; its photo pages are noted where there are new ones."""
        pages = self._source.gallery_pages(identity)
        first = next(pages)
        known = self._known_pages[identity.identity]
        if not first.is_person:
            return _catalogue_row(identity, "not_a_person", first, len(first.photo_page_urls))
        if self._is_unchanged(identity, first, known):
            urls = known
        elif self._states_too_few(first):
            urls = list(first.photo_page_urls)
        else:
            listed = (url for page in (first, *pages) for url in page.photo_page_urls)
            urls = list(dict.fromkeys(listed))
            self._note_pages(identity, urls)
        return _catalogue_row(identity, self._status(len(urls)), first, len(urls))

    def _is_unchanged(self, identity: IdentityRecord, first: GalleryPage, known: list[str]) -> bool:
        row = self._previous.get(identity.identity)
        return (
            row is not None
            and row["status"] in ("listed", "too_few_photos")
            and row["listed_photos"] == len(known)
            and row["stated_photos"] == first.stated_photos
            and set(first.photo_page_urls) <= set(known)
        )

    def _states_too_few(self, first: GalleryPage) -> bool:
        stated = first.stated_photos
        return stated is not None and max(stated, len(first.photo_page_urls)) < self._bounds.min_photos

    def _status(self, num_listed: int) -> str:
        if num_listed == 0:
            return "empty"
        return "listed" if num_listed >= self._bounds.min_photos else "too_few_photos"

    def _note_pages(self, identity: IdentityRecord, urls: list[str]) -> None:
        """Note a gallery's pages in the grid's order, and forget those that it no longer lists."""
        now = datetime.now(UTC)
        self._new_pages += [
            {"page_url": url, "identity": identity.identity, "position": position, "listed_at": now}
            for position, url in enumerate(urls)
        ]
        gone = set(self._known_pages[identity.identity]) - set(urls)
        if gone:
            self._tables.delete("photo_pages", "page_url", gone)

    def _failed(self, identity: IdentityRecord, error: SourceUnreachable | DownloadFailed) -> _Row:
        """What is known of a gallery that cannot be had now: gone for good, or as it was."""
        _logger.warning("gallery %s: %s", identity.identity, error)
        is_gone = isinstance(error, DownloadFailed) and error.reason == "not_found"
        if not is_gone:
            self._streak.failure(error)
        row = self._previous.get(identity.identity) or _catalogue_row(identity, "unreachable", None, None)
        if is_gone:
            return row | {"status": "vanished", "refreshed_at": datetime.now(UTC)}
        return row

    def _mark_vanished(self, identities: Iterable[str]) -> None:
        for identity in sorted(identities):
            if self._previous[identity]["status"] != "vanished":
                row = self._previous[identity] | {"status": "vanished", "refreshed_at": datetime.now(UTC)}
                self._new_rows.append(row)
            self._statuses["vanished"] += 1

    def _commit(self) -> None:
        """Pages before their gallery: a catalogue row is a promise that its pages are noted."""
        self._tables.append("photo_pages", self._new_pages)
        self._tables.append("identity_catalogue", self._new_rows)
        self._new_pages, self._new_rows = [], []


def _catalogue_row(
    identity: IdentityRecord, status: str, first: GalleryPage | None, num_listed: int | None
) -> _Row:
    return {
        "identity": identity.identity,
        "name": first.name if first else identity.name,
        "page_url": identity.page_url,
        "stated_photos": first.stated_photos if first else None,
        "listed_photos": num_listed,
        "status": status,
        "refreshed_at": datetime.now(UTC),
    }
