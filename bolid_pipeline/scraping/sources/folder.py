"""One's own photos: a folder with a folder per person."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from bolid_pipeline.errors import DownloadFailed, SourceUnreachable
from bolid_pipeline.records import GalleryPage, IdentityRecord, PhotoPage
from bolid_pipeline.scraping.client import TransferCounts
from bolid_pipeline.scraping.config import CrawlBounds
from bolid_pipeline.scraping.page_memory import PageMemory


class FolderSource:
    """A `PhotoSource` over `<folder>/<person>/**/<photo>`; hidden files and folders are passed over.

    Files of any type are offered: the crawler decides by content and records why one is no photo.
    """

    def __init__(self, folder: str | Path, bounds: CrawlBounds | None = None) -> None:
        self._folder = Path(folder).resolve()
        self._bounds = bounds or CrawlBounds()
        self._counts = TransferCounts()
        if not self._folder.is_dir():
            raise SourceUnreachable(
                f"{self._folder} is no folder; give a folder that holds one folder per person"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing is held open."""

    @property
    def bounds(self) -> CrawlBounds:
        """How much of the folder is to be taken."""
        return self._bounds

    @property
    def max_concurrency(self) -> int:
        """Threads that read and decode; a disk needs no politeness."""
        return os.cpu_count() or 1

    @property
    def counts(self) -> TransferCounts:
        """What has been read so far; a request is a file."""
        return self._counts

    def identities(self, memory: PageMemory) -> Iterator[IdentityRecord]:  # noqa: ARG002 - the interface's
        """A person per sub-folder, by name."""
        for person in sorted(self._folder.iterdir()):
            if person.is_dir() and not person.name.startswith("."):
                yield IdentityRecord(
                    identity=person.name, name=person.name.replace("_", " "), page_url=person.as_uri()
                )

    def gallery_pages(self, identity: IdentityRecord, memory: PageMemory) -> Iterator[GalleryPage]:  # noqa: ARG002 - the interface's
        """One page with every file of the person's folder, by path."""
        person = self._folder / identity.identity
        if not person.is_dir():
            raise DownloadFailed(f"{person} is gone", reason="not_found")
        files = [
            path for path in sorted(person.rglob("*")) if path.is_file() and not _is_hidden(path, person)
        ]
        urls = tuple(path.as_uri() for path in files)
        yield GalleryPage(name=identity.name, stated_photos=len(urls), photo_page_urls=urls)

    def picture_urls(self, photo_page: PhotoPage) -> tuple[str, ...]:
        """The file itself."""
        return (photo_page.page_url,)

    def download(self, picture_url: str, photo_page: PhotoPage) -> bytes:  # noqa: ARG002 - the interface's
        """The file's bytes; only files inside of the folder are read."""
        path = Path(unquote(urlsplit(picture_url).path)).resolve()
        if not path.is_relative_to(self._folder):
            raise DownloadFailed(f"{path} lies outside of {self._folder}", reason="foreign_host")
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise DownloadFailed(f"{path} is gone", reason="not_found") from error
        except OSError as error:
            raise DownloadFailed(f"{path}: {error}", reason="forbidden") from error
        self._counts.add(requests=1, bytes=len(data))
        return data


def _is_hidden(path: Path, person: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(person).parts)
