"""One refresh of the catalogue from a folder: its people, and the files that are new, changed or gone."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bolid_pipeline.errors import SourceUnreachable
from bolid_pipeline.records import OTHER_SOURCE
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.origins import is_folder, is_of, name_taken, set_aside, source_of
from bolid_pipeline.scraping.own_photos.content import is_settled
from bolid_pipeline.scraping.own_photos.walk import FolderListing, FoundFile, FoundPerson, walk
from bolid_pipeline.scraping.report import CrawlReport, CrawlTimer
from bolid_pipeline.scraping.selection import Selection
from bolid_pipeline.scraping.transfer_counts import TransferCounts
from bolid_pipeline.storage.tables import TableStore

_logger = logging.getLogger(__name__)

_Row = dict[str, Any]

_SAME_FOLDER_SHARE = 0.5
"""A folder at a new address that holds this share of a known one's files is that folder."""
_HOW_TO_ARRANGE = "give each person a folder of their own, such as anna/1.jpg and boris/1.jpg"


class CatalogueSync:
    """One refresh; made anew for each.

    Args:
        root: the folder.
        label: the folder's address.
        bounds: whom to take.
        tables: what is known.
    """

    def __init__(self, root: Path, label: str, bounds: CrawlConfig, tables: TableStore) -> None:
        self._root = root
        self._label = label
        self._bounds = bounds
        self._tables = tables
        self._files = {row["page_url"]: row for row in tables.read("folder_files").to_pylist()}
        self._pages = {row["page_url"]: row for row in tables.read("photo_pages").to_pylist()}
        self._statuses: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()

    def run(self) -> CrawlReport:
        """Walk the folder, write what has changed, and report it. Raises SourceUnreachable."""
        timer = CrawlTimer(TransferCounts())
        listing = walk(self._root)
        rows = self._tables.read("identity_catalogue").to_pylist()
        theirs = self._label_of(listing, rows)
        previous = {row["identity"]: row for row in rows if is_of(row, theirs)}
        # A folder without anybody is a mistake, most likely, and sets nobody aside.
        others = {row["identity"]: row for row in rows if listing.people and row["identity"] not in previous}
        self._keep_what_is_hidden(listing, previous)
        self._check_that_it_is_there(listing, previous)
        self._warn_of(listing)
        self._synchronise(listing, previous, others)
        for table in ("folder_files", "photo_pages", "identity_catalogue"):
            self._tables.tidy(table)
        return timer.report(identities=+self._statuses, failures=+self._failures)

    def _label_of(self, listing: FolderListing, rows: Iterable[_Row]) -> str:
        """The label that the folder is known by: its address, or the one that it was moved from.

        A folder at a new address is a known one if it holds at least half of its files, told by their sizes.
        """
        label_of = {row["identity"]: source_of(row) for row in rows}
        if self._label in label_of.values():
            return self._label
        known: dict[str, Counter[int]] = {}
        for file in self._listed_files():
            label = label_of.get(file["identity"], "")
            if is_folder(label):
                known.setdefault(label, Counter())[file["size_bytes"]] += 1
        found = Counter(file.size_bytes for person in listing.people.values() for file in person.files)
        shares = {label: (found & sizes).total() / sizes.total() for label, sizes in known.items()}
        best = max(shares, key=shares.__getitem__, default=self._label)
        if shares.get(best, 0.0) < _SAME_FOLDER_SHARE:
            return self._label
        _logger.info("%s is taken for the folder that was at %s", self._label, best)
        return best

    def _listed_files(self) -> Iterable[_Row]:
        """The known files that the last walk found."""
        return (file for file in self._files.values() if file["page_url"] in self._pages)

    def _keep_what_is_hidden(self, listing: FolderListing, previous: Mapping[str, _Row]) -> None:
        """Add to the listing what is known of places that the walk could not look at."""
        for identity, row in previous.items():
            if identity not in listing.people and listing.hides(row["page_url"].removesuffix("/")):
                listing.people[identity] = FoundPerson(
                    identity=identity, name=row["name"], page_url=row["page_url"]
                )
        for file in self._listed_files() if listing.unreadable else ():
            if file["identity"] in listing.people and listing.hides(file["page_url"]):
                listing.people[file["identity"]].add(
                    FoundFile(
                        page_url=file["page_url"], size_bytes=file["size_bytes"], mtime_ns=file["mtime_ns"]
                    )
                )

    def _check_that_it_is_there(self, listing: FolderListing, previous: Mapping[str, _Row]) -> None:
        """Raise SourceUnreachable if a folder that held files holds none: its disk is missing, most likely."""
        num_known = sum(file["identity"] in previous for file in self._listed_files())
        if num_known and not listing.num_files:
            raise SourceUnreachable(
                f"{self._root} holds no file, and {num_known} are known from it; nothing is changed. If its disk is "
                "not plugged in, plug it in; if its people are to go, crawl another folder, then run `bolid prune`"
            )

    def _warn_of(self, listing: FolderListing) -> None:
        for place, why in listing.unreadable.items():
            _logger.warning(
                "%s/%s cannot be looked at (%s); what is known of it is kept", self._root, place, why
            )
        self._failures["unreadable"] += len(listing.unreadable)
        if not listing.people:
            _logger.warning("%s holds no person's folder; %s", self._root, _HOW_TO_ARRANGE)
        if listing.num_loose_files:
            _logger.warning(
                "files directly in %s belong to nobody and are left out (%d); %s",
                self._root,
                listing.num_loose_files,
                _HOW_TO_ARRANGE,
            )

    def _synchronise(
        self, listing: FolderListing, previous: Mapping[str, _Row], others: Mapping[str, _Row]
    ) -> None:
        """Write what has changed for the people whom the bounds admit; the others stay as they are."""
        selection = Selection(self._bounds, self._tables)
        for sentence in selection.explain_absences(listing.people.keys()):
            _logger.warning("%s", sentence)
        taken = listing.people.keys() & others.keys()
        for identity in selection.in_order(taken):
            self._failures["name_taken"] += 1
            _logger.warning("%s", name_taken(others[identity]))
        rows = self._visit(selection.in_order(listing.people.keys() - taken), listing)
        gone = set(selection.in_order(previous.keys() - listing.people.keys()))
        self._statuses[OTHER_SOURCE] += len(others)
        moved = [
            {**row, "source": self._label}
            for identity, row in previous.items()
            if identity not in gone and row["source"] != self._label
        ]
        # Files and pages before their person: a row of the catalogue promises that they are noted.
        visited = [listing.people[row["identity"]] for row in rows]
        self._tables.append(
            "folder_files", [row for person in visited for row in self._changed_files(person)]
        )
        self._tables.append("photo_pages", [row for person in visited for row in self._changed_pages(person)])
        self._tables.delete("photo_pages", "page_url", self._gone_pages(visited, gone))
        self._tables.append("identity_catalogue", [*set_aside(others.values()), *moved, *rows])
        self._tables.delete("identity_catalogue", "identity", gone)

    def _visit(self, chosen: Iterable[str], listing: FolderListing) -> list[_Row]:
        """The people's rows, up to the limit of people."""
        rows: list[_Row] = []
        for identity in chosen:
            if self._statuses["listed"] == self._bounds.max_identities:
                break
            rows.append(self._catalogue_row(listing.people[identity], listing))
            self._statuses[rows[-1]["status"]] += 1
        return rows

    def _catalogue_row(self, person: FoundPerson, listing: FolderListing) -> _Row:
        return {
            "identity": person.identity,
            "name": person.name,
            "page_url": person.page_url,
            "stated_photos": len(person.files),
            "listed_photos": len(person.files),
            "status": self._status(person, listing),
            "refreshed_at": datetime.now(UTC),
            "source": self._label,
            "failed_at": None,
        }

    def _status(self, person: FoundPerson, listing: FolderListing) -> str:
        if not person.files:
            return "unreachable" if listing.hides(person.page_url.removesuffix("/")) else "empty"
        return "listed" if len(person.files) >= self._bounds.min_photos else "too_few_photos"

    def _changed_files(self, person: FoundPerson) -> Iterable[_Row]:
        """The rows of files to read, because they or the limits have changed; they keep what was read before."""
        for file in person.files:
            row: _Row = self._files.get(file.page_url) or {"sha256": None, "reason": None, "limits": None}
            now = {
                "page_url": file.page_url,
                "identity": person.identity,
                "size_bytes": file.size_bytes,
                "mtime_ns": file.mtime_ns,
            }
            if not now.items() <= row.items() or not is_settled(row, self._bounds):
                yield {**row, **now, "is_read": False}

    def _changed_pages(self, person: FoundPerson) -> Iterable[_Row]:
        for position, file in enumerate(person.files):
            now = {
                "page_url": file.page_url,
                "identity": person.identity,
                "position": position,
                "vanished_at": None,
            }
            if not now.items() <= self._pages.get(file.page_url, {}).items():
                yield {**now, "listed_at": datetime.now(UTC)}

    def _gone_pages(self, visited: Iterable[FoundPerson], gone: set[str]) -> list[str]:
        """The pages of these people that the folder no longer holds."""
        urls_of = {person.identity: {file.page_url for file in person.files} for person in visited}
        urls_of |= {identity: set[str]() for identity in gone}
        return [
            url
            for url, row in self._pages.items()
            if row["identity"] in urls_of and url not in urls_of[row["identity"]]
        ]
