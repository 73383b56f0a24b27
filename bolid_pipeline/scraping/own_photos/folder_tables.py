"""The rows of a folder in the tables: what its files were found to be, and the photos and refusals that follow."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.fetch_journal import FetchedPhoto
from bolid_pipeline.scraping.origins import is_of
from bolid_pipeline.scraping.outcomes import SHARED
from bolid_pipeline.scraping.own_photos.content import ReadFile, UnreadableFile, is_settled, limits_of
from bolid_pipeline.scraping.own_photos.settlement import Settlement, settle
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore

_logger = logging.getLogger(__name__)

_Row = dict[str, Any]


class FolderTables:
    """The tables `folder_files`, `raw_photos` and `rejected_downloads`, as far as they speak of one folder.

    Args:
        tables: the tables.
        photos: the photo store.
        label: the folder's address; people of other sources are left alone.
        bounds: the limits by which files are refused.
    """

    def __init__(self, tables: TableStore, photos: PhotoStore, label: str, bounds: CrawlConfig) -> None:
        self._tables = tables
        self._photos = photos
        self._limits = limits_of(bounds)
        catalogue = tables.read("identity_catalogue").to_pylist()
        self._own_people = {row["identity"] for row in catalogue if is_of(row, label)}
        self._others = {row["identity"] for row in catalogue} - self._own_people
        self._stored = {row["photo_id"]: row for row in tables.read("raw_photos").to_pylist()}
        pages = tables.read("photo_pages", ["page_url", "identity", "vanished_at"]).to_pylist()
        known = {row["page_url"]: row for row in tables.read("folder_files").to_pylist()}
        self.reason_of_content: Mapping[str, str] = {
            row["sha256"]: row["reason"]
            for row in known.values()
            if row["sha256"] and row["reason"] and is_settled(row, bounds)
        }
        """sha256 -> reason, of known content that is refused, whoever's it is."""
        self._files = {
            row["page_url"]: known.get(row["page_url"]) or _unknown_file(row)
            for row in pages
            if row["identity"] in self._own_people and row["vanished_at"] is None
        }
        self._gone_files = [
            url
            for url, row in known.items()
            if url not in self._files and row["identity"] not in self._others
        ]
        self._files_of: defaultdict[str, list[_Row]] = defaultdict(list)
        for row in self._files.values():
            self._files_of[row["identity"]].append(row)
        self._adopt_committed_photos()
        self._new_files: list[_Row] = []
        self._num_unreadable = 0

    @property
    def own_photos(self) -> set[str]:
        """Ids of the stored photos of the folder's people."""
        return {photo_id for photo_id, row in self._stored.items() if self._is_own(row)}

    @property
    def path_of_photo(self) -> dict[str, str]:
        """Photo id -> path in the photo store, of all stored photos."""
        return {photo_id: row["path"] for photo_id, row in self._stored.items()}

    @property
    def num_uncommitted(self) -> int:
        """Files noted since the last commit."""
        return len(self._new_files)

    def is_unread(self, page_url: str) -> bool:
        """True if a file must be read: it is new or has changed, or it holds a photo that is no longer stored."""
        file = self._files[page_url]
        is_lost = file["reason"] is None and file["sha256"] not in self._stored
        return is_lost or not file["is_read"]

    def was_read(self, page_url: str) -> bool:
        """True if it is known what the file was, perhaps before it changed."""
        file = self._files[page_url]
        return file["sha256"] is not None or file["reason"] not in (None, "unreadable")

    def num_photos(self, identity: str) -> int:
        """Number of different photos among the person's files."""
        files = self._files_of[identity]
        return len({file["sha256"] for file in files if file["sha256"] and file["reason"] is None})

    def note(self, file: ReadFile | UnreadableFile, reason: str | None) -> None:
        """Note what a file was found to be: a photo, or refused for a reason."""
        row = self._files[file.page_url]
        if isinstance(file, ReadFile):
            row.update(vars(file), reason=reason, is_read=True, limits=self._limits)
        else:
            self._num_unreadable += 1
            _logger.warning("%s cannot be read (%s); the next refresh tries again", file.page_url, file.why)
            if self.was_read(file.page_url):
                return  # what was known of it stays
            row["reason"] = reason
        self._new_files.append(dict(row))

    def commit(self, photos: Iterable[FetchedPhoto]) -> None:
        """Write what was noted, and the photos that were found meanwhile."""
        now = datetime.now(UTC)
        rows: list[_Row] = [
            {**vars(photo), "identity": self._files[photo.page_url]["identity"], "fetched_at": now}
            for photo in photos
        ]
        # Photo files before their rows, and these before what says that the files need not be read again.
        self._photos.make_durable([row["path"] for row in rows])
        self._tables.append("raw_photos", rows)
        self._tables.append("folder_files", self._new_files)
        self._stored |= {row["photo_id"]: row for row in rows}
        self._new_files = []

    def settle(self) -> Counter[str]:
        """Bring photos and refusals in line with the files; returns how many were refused newly, by reason."""
        settlement = settle(self._files.values(), self._stored)
        refused = self._replace_refusals(settlement)
        self._give_to_owners(settlement)
        self._delete_photos([id_ for id_ in self.own_photos if id_ not in settlement.owner_of])
        self._tables.delete("folder_files", "page_url", self._gone_files)
        for table in ("raw_photos", "rejected_downloads", "folder_files"):
            self._tables.tidy(table)
        refused["unreadable"] = self._num_unreadable
        return +refused

    def _adopt_committed_photos(self) -> None:
        """A photo whose row was written, but not that its file was read, is what is known of the file."""
        for photo_id, row in self._stored.items():
            file = self._files.get(row["page_url"])
            if file is not None and file["sha256"] is None and file["reason"] is None:
                file["sha256"] = photo_id

    def _is_own(self, row: _Row) -> bool:
        """True for a row of the folder's people, and of those who are gone: addresses of folders have no scheme."""
        identity = row["identity"]
        return identity in self._own_people or (identity not in self._others and "://" not in row["page_url"])

    def _give_to_owners(self, settlement: Settlement) -> None:
        moved: list[_Row] = []
        for photo_id, file in settlement.owner_of.items():
            place = {
                "page_url": file["page_url"],
                "source_url": file["page_url"],
                "identity": file["identity"],
            }
            if not place.items() <= self._stored[photo_id].items():
                moved.append({**self._stored[photo_id], **place})
        self._tables.append("raw_photos", moved)
        self._stored |= {row["photo_id"]: row for row in moved}

    def _replace_refusals(self, settlement: Settlement) -> Counter[str]:
        rows = self._tables.read("rejected_downloads").to_pylist()
        known = {row["page_url"]: row for row in rows if self._is_own(row)}
        new: list[_Row] = [
            {**row, "checked_at": datetime.now(UTC)}
            for page_url, row in settlement.refused.items()
            if not row.items() <= known.get(page_url, {}).items()
        ]
        over = [
            page_url
            for page_url, row in known.items()
            if page_url not in settlement.refused and not self._is_doubt_of_forgotten(row)
        ]
        self._tables.append("rejected_downloads", new)
        self._tables.delete("rejected_downloads", "page_url", over)
        return Counter(row["reason"] for row in new if row["reason"] != "unreadable")

    def _is_doubt_of_forgotten(self, refusal: _Row) -> bool:
        """True if a photo is refused at its own address: it was a forgotten person's too."""
        photo = self._stored.get(refusal["photo_id"], {})
        return refusal["reason"] == SHARED and photo.get("page_url") == refusal["page_url"]

    def _delete_photos(self, photo_ids: list[str]) -> None:
        """Delete photos without a file; their copies in the photo store go before their rows."""
        for photo_id in photo_ids:
            self._photos.delete(self._stored.pop(photo_id)["path"])
        self._tables.delete("raw_photos", "photo_id", photo_ids)


def _unknown_file(page: _Row) -> _Row:
    facts = dict.fromkeys(("size_bytes", "mtime_ns", "sha256", "reason", "limits"))
    return {"page_url": page["page_url"], "identity": page["identity"], **facts, "is_read": False}
