"""The journal of answers since the last commit, so that a killed crawl asks for no page and no file a second time.

Rows are committed in batches, photos in the gallery's order; until then this journal says what became of each page.
A line is written before the photo's file, so that every file which exists is known. Neither is fsynced before the
commit: both survive the end of the process, and a power cut costs a few downloads (`storage/journal.py`).
"""

import time
from collections.abc import Collection
from dataclasses import dataclass

from bolid_pipeline.images.examination import PhotoFacts
from bolid_pipeline.storage.journal import open_journal
from bolid_pipeline.storage.location import Location
from bolid_pipeline.storage.photos import PhotoStore

_DAY_SECONDS = 24 * 3600
"""After this time a page may show another file, and is read anew."""


@dataclass(frozen=True, kw_only=True)
class FetchedPhoto:
    """A whole photo in the photo store; the fields are columns of `raw_photos`."""

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
class ReadPage:
    """A photo page that was read, and the possible addresses of its file."""

    page_url: str
    picture_urls: tuple[str, ...]
    read_at: float
    """Seconds since 1970."""


@dataclass(frozen=True, kw_only=True)
class RefusedFile:
    """A file, or a photo page, that is refused for good."""

    source_url: str
    """Its address."""
    reason: str


class FetchJournal:
    """The journal `fetched` in the data folder."""

    def __init__(self, data_dir: Location, photos: PhotoStore) -> None:
        self._journal = open_journal(data_dir, "fetched")
        self._photos = photos
        left_over = self._journal.entries()
        self._left_photos = {entry["page_url"]: entry for entry in left_over if "photo_id" in entry}
        self._left_pages = {
            entry["page_url"]: tuple[str, ...](entry["picture_urls"])
            for entry in left_over
            if "picture_urls" in entry and time.time() - entry["read_at"] < _DAY_SECONDS
        }
        self._left_refusals = {
            entry["source_url"]: entry["reason"] for entry in left_over if "reason" in entry
        }

    @property
    def is_empty(self) -> bool:
        """True if the last crawl came to its end."""
        return not (self._left_photos or self._left_pages or self._left_refusals)

    def photo(self, page_url: str, placeholders: Collection[str]) -> FetchedPhoto | None:
        """The photo that a killed crawl fetched from the page and did not commit; None unless its file is whole.

        A placeholder's file may be gone: it was deleted on purpose.
        """
        entry = self._left_photos.get(page_url)
        if entry is None or not (entry["photo_id"] in placeholders or self._photos.is_whole(entry["path"])):
            return None
        return FetchedPhoto(**entry)

    def picture_urls(self, page_url: str) -> tuple[str, ...]:
        """The addresses that a killed crawl read on the photo page; none if it did not read it."""
        return self._left_pages.get(page_url, ())

    def refusal(self, source_url: str) -> str | None:
        """The reason for which a killed crawl refused the file or page at the address; None if it did not."""
        return self._left_refusals.get(source_url)

    def store(self, page_url: str, source_url: str, data: bytes, facts: PhotoFacts) -> FetchedPhoto:
        """Store a photo's file, after its line in the journal.

        Args:
            page_url: the photo page.
            source_url: the file's address.
            data: the file's bytes.
            facts: what was found in them.
        """
        photo_id, path = self._photos.address(data, facts.extension)
        photo = FetchedPhoto(
            page_url=page_url,
            source_url=source_url,
            photo_id=photo_id,
            path=path,
            width_px=facts.width_px,
            height_px=facts.height_px,
            size_bytes=len(data),
            content_type=facts.content_type,
            perceptual_hash=facts.perceptual_hash,
            mirrored_hash=facts.mirrored_hash,
        )
        self.add(photo)
        self._photos.write(path, data)
        return photo

    def add(self, fetched: FetchedPhoto | ReadPage | RefusedFile) -> None:
        """Write a line."""
        self._journal.add(dict(vars(fetched)))

    def close(self, settled_pages: Collection[str]) -> None:
        """Drop committed entries. A killed crawl's entries for people whom this crawl did not visit stay.

        Args:
            settled_pages: the photo pages that have a row now.
        """
        self._journal.keep_only(
            [entry for page_url, entry in self._left_photos.items() if page_url not in settled_pages]
        )

    def discard(self, kept_paths: Collection[str]) -> None:
        """Empty the journal, and delete its files that are not among the kept ones."""
        for entry in self._left_photos.values():
            if entry["path"] not in kept_paths:
                self._photos.delete(entry["path"])
        self._journal.keep_only([])
