"""Reading files of a folder: their bytes, the hash of these, and what they hold. Known content is not decoded again."""

import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bolid_pipeline.errors import PhotoRefused
from bolid_pipeline.images.examination import examine
from bolid_pipeline.images.file_types import ALL_TYPES
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.fetch_journal import FetchedPhoto, FetchJournal
from bolid_pipeline.scraping.own_photos.walk import path_of
from bolid_pipeline.scraping.run_budget import RunBudget
from bolid_pipeline.scraping.transfer_counts import TransferCounts
from bolid_pipeline.storage.photos import PhotoStore

_REASONS_OF_LIMITS = frozenset({"too_small", "too_large", "too_many_pixels"})


def limits_of(bounds: CrawlConfig) -> str:
    """The limits of a file's size, in one text: a file that was refused for its size is read again if they change."""
    return f"{bounds.min_side_px}-{bounds.max_pixels} px, {bounds.max_body_bytes} bytes"


def is_settled(file: Mapping[str, Any], bounds: CrawlConfig) -> bool:
    """False for a row of `folder_files` that was refused by other limits."""
    return file["reason"] not in _REASONS_OF_LIMITS or file["limits"] == limits_of(bounds)


@dataclass(frozen=True, kw_only=True)
class ReadFile:
    """A file that was read; size and time are those from before its first byte."""

    page_url: str
    size_bytes: int
    mtime_ns: int
    sha256: str | None
    """Of its content; None if it is too large to be read."""


@dataclass(frozen=True, kw_only=True)
class UnreadableFile:
    """A file that cannot be read now."""

    page_url: str
    why: str


class ContentReader:
    """Reads files, from any number of threads, and stores the photos among them.

    Args:
        root: the folder.
        bounds: limits of bytes and pixels, and the run's budget.
        counts: what the run has read so far; each file counts as a request.
        photos: where photos go.
        journal: the photos stored since the last commit.
        path_of_photo: sha256 -> path in the photo store, of known photos.
        reason_of: sha256 -> reason, of content known to be refused.
    """

    def __init__(
        self,
        root: Path,
        bounds: CrawlConfig,
        counts: TransferCounts,
        photos: PhotoStore,
        journal: FetchJournal,
        *,
        path_of_photo: Mapping[str, str],
        reason_of: Mapping[str, str],
    ) -> None:
        self._root = root
        self._bounds = bounds
        self._budget = RunBudget(bounds, counts)
        self._counts = counts
        self._photos = photos
        self._journal = journal
        self._path_of_photo = dict(path_of_photo)
        self._reason_of = dict(reason_of)
        self._decoded: set[str] = set()
        self._new_photos: list[FetchedPhoto] = []
        self._lock = threading.Lock()

    def __call__(self, page_url: str) -> ReadFile | UnreadableFile:
        """Read a file.

        What was found in it, `finding` says once all files under way have been read: threads leave content to the
        first of them that has met it.

        Raises:
            BudgetSpent: this run may read no more files.
        """
        self._budget.take_request(0.0)
        try:
            file, data = self._file(page_url)
        except OSError as error:
            return UnreadableFile(page_url=page_url, why=str(error.strerror))
        if data is None:
            return file
        self._counts.add(bytes=len(data))
        return replace(file, sha256=self._take(page_url, data))

    def _file(self, page_url: str) -> tuple[ReadFile, bytes | None]:
        """The file and its bytes, or no bytes if there are too many. Raises OSError."""
        with path_of(self._root, page_url).open("rb") as file:
            facts = os.fstat(file.fileno())
            is_small = facts.st_size <= self._bounds.max_body_bytes
            data = file.read() if is_small else None
        size_bytes, mtime_ns = facts.st_size, facts.st_mtime_ns
        return ReadFile(page_url=page_url, size_bytes=size_bytes, mtime_ns=mtime_ns, sha256=None), data

    def finding(self, file: ReadFile | UnreadableFile) -> str | None:
        """The reason why a file is refused; None for a photo."""
        if isinstance(file, UnreadableFile):
            return "unreadable"
        return "too_large" if file.sha256 is None else self._reason_of.get(file.sha256)

    def new_photos(self) -> list[FetchedPhoto]:
        """The photos found and stored since this was last asked."""
        found, self._new_photos = self._new_photos, []
        return found

    def _take(self, page_url: str, data: bytes) -> str:
        """The content's hash. Stores a photo; looks only into content that nobody has looked into."""
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 in self._path_of_photo:
            self._photos.write(self._path_of_photo[sha256], data)  # the file may be lost
            return sha256
        with self._lock:
            is_known = sha256 in self._reason_of or sha256 in self._decoded
            self._decoded.add(sha256)
        if not is_known:
            try:
                self._store(page_url, data)
            except PhotoRefused as refusal:
                self._reason_of[sha256] = refusal.reason
        return sha256

    def _store(self, page_url: str, data: bytes) -> None:
        """Decode and store a photo. Raises PhotoRefused."""
        bounds = self._bounds
        facts = examine(data, ALL_TYPES, bounds.max_pixels, min_side_px=bounds.min_side_px)
        self._new_photos.append(self._journal.store(page_url, page_url, data, facts))
