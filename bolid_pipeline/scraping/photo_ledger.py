"""The results of a round of downloads: for every fetched page a row of `raw_photos` or `rejected_downloads`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bolid_pipeline.scraping.fetch_journal import FetchedPhoto
from bolid_pipeline.scraping.origins import people_set_aside
from bolid_pipeline.scraping.outcomes import RETRIED_REASONS, SHARED
from bolid_pipeline.scraping.photo_fetch import RefusedPage
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore

_Row = dict[str, Any]


@dataclass(kw_only=True)
class StoredState:
    """The content of the two tables, including the rows that a round has yet to commit."""

    identity_of_photo: dict[str, str]
    """Photo id -> person, of every stored photo."""
    num_stored: Counter[str]
    """Stored photos per person."""
    num_copies: Counter[str]
    """Photo id -> pages that were refused because their file is that photo's, byte for byte."""
    placeholders: set[str]
    """Ids of files that stand for a missing photo."""
    set_aside: set[str]
    """People of other sources, who leave a photo to the current source's person that shows it too."""
    retried_pages: set[str]
    """Pages whose refusal says nothing about the photo; they are asked for again."""

    @classmethod
    def read(cls, tables: TableStore) -> "StoredState":
        """The state as the tables are now."""
        stored = tables.read("raw_photos", ["photo_id", "identity"]).to_pylist()
        refused = tables.read("rejected_downloads", ["page_url", "reason", "photo_id"]).to_pylist()
        return cls(
            identity_of_photo={row["photo_id"]: row["identity"] for row in stored},
            num_stored=Counter(row["identity"] for row in stored),
            num_copies=Counter(row["photo_id"] for row in refused if row["photo_id"] is not None),
            placeholders={row["photo_id"] for row in refused if row["reason"] == "placeholder"},
            set_aside=people_set_aside(tables),
            retried_pages={row["page_url"] for row in refused if row["reason"] in RETRIED_REASONS},
        )


class PhotoLedger:
    """Decides whether a fetched page is stored or refused, and commits the rows when asked to.

    Args:
        tables: where the rows go.
        photos: where the files are.
        min_placeholder_pages: a file behind this many pages is a placeholder.
    """

    def __init__(self, tables: TableStore, photos: PhotoStore, min_placeholder_pages: int) -> None:
        self._tables = tables
        self._photos = photos
        self._min_placeholder_pages = min_placeholder_pages
        self._state = StoredState.read(tables)
        self._new_photos: list[_Row] = []
        self._new_rejections: list[_Row] = []
        self.new_photo_ids: set[str] = set()
        """Photos that this round has stored."""
        self.reason_of_page: dict[str, str] = {}
        """Pages that this round has refused."""

    @property
    def placeholders(self) -> set[str]:
        """Ids of files that are known to be placeholders; grows during the round."""
        return self._state.placeholders

    @property
    def num_photos(self) -> int:
        """Stored photos of all people."""
        return len(self._state.identity_of_photo)

    @property
    def num_uncommitted(self) -> int:
        """Rows that the next commit will write."""
        return len(self._new_photos) + len(self._new_rejections)

    def num_stored(self, identity: str) -> int:
        """Number of stored photos of the person."""
        return self._state.num_stored[identity]

    def complete_last_commit(self) -> None:
        """Finish what a killed crawl left half done; call it before the round."""
        for placeholder in self.placeholders & self._state.identity_of_photo.keys():
            self._delete_photo(placeholder)
        self._drop_replaced_refusals(self._tables.read("raw_photos", ["page_url"])["page_url"].to_pylist())
        for photo_id in list(self._state.identity_of_photo):
            self._remove_if_placeholder(photo_id)

    def record(self, identity: str, outcome: FetchedPhoto | RefusedPage) -> None:
        """Note the outcome of a person's photo page."""
        if isinstance(outcome, RefusedPage):
            self._reject(identity, outcome.page_url, outcome.source_url, outcome.reason)
            return
        owner = self._state.identity_of_photo.get(outcome.photo_id)
        if outcome.photo_id in self.placeholders:
            self._reject_file(identity, outcome, "placeholder")
            self._photos.delete(outcome.path)
        elif owner is None or owner in self._state.set_aside:
            self._store(identity, outcome)
        else:
            self._reject_file(identity, outcome, "duplicate_photo" if owner == identity else SHARED)
            self._remove_if_placeholder(outcome.photo_id)

    def commit(self) -> None:
        """Write the new rows."""
        # Files before their rows, and new rows before the old refusals that they replace: a kill in between leaves
        # every page in at least one of the tables.
        self._photos.make_durable([row["path"] for row in self._new_photos])
        self._tables.append("raw_photos", self._new_photos)
        self._drop_replaced_refusals(row["page_url"] for row in self._new_photos)
        self._tables.append("rejected_downloads", self._new_rejections)
        self._new_photos, self._new_rejections = [], []

    def _store(self, identity: str, photo: FetchedPhoto) -> None:
        self._new_photos.append({**vars(photo), "identity": identity, "fetched_at": datetime.now(UTC)})
        former = self._state.identity_of_photo.get(photo.photo_id)
        if former is not None:
            self._state.num_stored[former] -= 1
        self._state.identity_of_photo[photo.photo_id] = identity
        self._state.num_stored[identity] += 1
        self.new_photo_ids.add(photo.photo_id)

    def _reject_file(self, identity: str, photo: FetchedPhoto, reason: str) -> None:
        self._reject(identity, photo.page_url, photo.source_url, reason, photo.photo_id)

    def _reject(
        self, identity: str, page_url: str, source_url: str | None, reason: str, photo_id: str | None = None
    ) -> None:
        row = {"page_url": page_url, "identity": identity, "source_url": source_url, "reason": reason}
        row |= {"photo_id": photo_id, "checked_at": datetime.now(UTC)}
        self._new_rejections.append(row)
        self.reason_of_page[page_url] = reason
        if photo_id is not None:
            self._state.num_copies[photo_id] += 1

    def _remove_if_placeholder(self, photo_id: str) -> None:
        """Refuse a photo on all its pages once these are so many that it must be a placeholder."""
        if 1 + self._state.num_copies[photo_id] < self._min_placeholder_pages:
            return
        self.commit()
        pages = self._pages_of(photo_id)  # the count says when to look, the tables decide
        if len(pages) < self._min_placeholder_pages:
            return
        for page_url, row in pages.items():
            self._reject(row["identity"], page_url, row["source_url"], "placeholder", photo_id)
        self.commit()
        self._state.placeholders.add(photo_id)
        self._delete_photo(photo_id)

    def _pages_of(self, photo_id: str) -> dict[str, _Row]:
        """The committed rows of all pages with this file, by page."""
        columns = ["photo_id", "identity", "page_url", "source_url"]
        rows = [
            row
            for table in ("raw_photos", "rejected_downloads")
            for row in self._tables.read(table, columns).to_pylist()
            if row["photo_id"] == photo_id
        ]
        return {row["page_url"]: row for row in rows}

    def _delete_photo(self, photo_id: str) -> None:
        """Delete a stored photo. The file goes before its row, so that a kill leaves no file without a row."""
        for row in self._tables.read("raw_photos", ["photo_id", "path"]).to_pylist():
            if row["photo_id"] == photo_id:
                self._photos.delete(row["path"])
        self._tables.delete("raw_photos", "photo_id", [photo_id])
        self._state.num_stored[self._state.identity_of_photo.pop(photo_id)] -= 1
        self.new_photo_ids.discard(photo_id)

    def _drop_replaced_refusals(self, stored_pages: Iterable[str]) -> None:
        replaced = self._state.retried_pages.intersection(stored_pages)
        if replaced:
            self._tables.delete("rejected_downloads", "page_url", replaced)
            self._state.retried_pages -= replaced
