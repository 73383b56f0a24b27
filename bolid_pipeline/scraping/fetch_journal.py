"""What was fetched since the last commit, line by line: a killed crawl fetches no photo a second time.

Rows are committed in batches, photos in the gallery's order; in between, this file knows what became of each page.
A line is written before the photo's file, so that a file which is there is always known. Neither is fsynced before the
commit: both survive the end of the process, and a power cut costs a few downloads.
"""

import json
import threading
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.location import Location
from bolid_pipeline.storage.photos import PhotoStore


@dataclass(frozen=True, kw_only=True)
class FetchedPhoto:
    """A whole photo, in the photo store; the fields are columns of `raw_photos`."""

    page_url: str
    source_url: str
    photo_id: str
    path: str
    width_px: int
    height_px: int
    size_bytes: int
    content_type: str
    perceptual_hash: str
    mirrored_hash: str


@dataclass(frozen=True, kw_only=True)
class RefusedFile:
    """Bytes that were fetched and are no photo."""

    source_url: str
    reason: str


class FetchJournal:
    """One JSON object per line in `<data_dir>/fetched.jsonl`, or only in memory where the data lie elsewhere."""

    def __init__(self, data_dir: Location, photos: PhotoStore) -> None:
        self._path = data_dir / "fetched.jsonl" if isinstance(data_dir, Path) else None
        self._photos = photos
        self._lock = threading.Lock()
        left_over = self._read()
        self._left_photos = {entry["page_url"]: entry for entry in left_over if "page_url" in entry}
        self._left_refusals = {
            entry["source_url"]: entry["reason"] for entry in left_over if "reason" in entry
        }

    @property
    def is_empty(self) -> bool:
        """Whether the last crawl came to its end."""
        return not self._left_photos and not self._left_refusals

    def photo(self, page_url: str, placeholders: Collection[str]) -> FetchedPhoto | None:
        """What a killed crawl fetched from the page and did not commit; its file is whole, or gone as a placeholder."""
        entry = self._left_photos.get(page_url)
        if entry is None or not (entry["photo_id"] in placeholders or self._photos.is_whole(entry["path"])):
            return None
        return FetchedPhoto(**entry)

    def refusal(self, source_url: str) -> str | None:
        """Why a killed crawl had no use for the file at the address; None where it had not asked for it."""
        return self._left_refusals.get(source_url)

    def add(self, fetched: FetchedPhoto | RefusedFile) -> None:
        """Write a line."""
        if self._path is None:
            return
        line = json.dumps(vars(fetched)) + "\n"
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line)

    def close(self, settled_pages: Collection[str]) -> None:
        """All is committed; only what a killed crawl left for people whom this one was not about stays.

        Args:
            settled_pages: the photo pages that have a row now.
        """
        if self._path is None:
            return
        left = [entry for page_url, entry in self._left_photos.items() if page_url not in settled_pages]
        if left:
            write_atomically(self._path, "".join(f"{json.dumps(entry)}\n" for entry in left).encode())
        else:
            self._path.unlink(missing_ok=True)

    def discard(self, kept_paths: Collection[str]) -> None:
        """Undo what was never committed: the journal, and the files of it that are not among the kept ones."""
        for entry in self._left_photos.values():
            if entry["path"] not in kept_paths:
                self._photos.delete(entry["path"])
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _read(self) -> list[dict[str, Any]]:
        """The whole lines; one that a kill has cut is ended, so that the next one begins on its own."""
        if self._path is None or not self._path.exists():
            return []
        text = self._path.read_text("utf-8", errors="replace")
        if not text.endswith("\n"):
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n")
        return [entry for line in text.splitlines() if (entry := _parse(line)) is not None]


def _parse(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except ValueError:
        return None
