"""Your own photos: a folder with one folder per person."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bolid_pipeline.errors import DownloadFailed, SourceUnreachable
from bolid_pipeline.records import GalleryPage, IdentityRecord, PhotoPage
from bolid_pipeline.scraping.catalogue_crawl import CatalogueCrawl
from bolid_pipeline.scraping.config import CrawlBounds
from bolid_pipeline.scraping.page_cache import PageCache
from bolid_pipeline.scraping.photo_crawl import PhotoCrawl
from bolid_pipeline.scraping.report import CrawlReport
from bolid_pipeline.scraping.transfer_counts import TransferCounts
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore


class FolderSource:
    """A `PhotoSource` over `<folder>/<person>/**/<photo>`, without hidden files and folders.

    It offers files of every type. The crawler looks at their content and records why it refuses one.
    """

    def __init__(self, folder: str | Path, bounds: CrawlBounds | None = None) -> None:
        self._folder = Path(folder).resolve()
        self._bounds = bounds or CrawlBounds()
        self._counts = TransferCounts()
        if not self._folder.is_dir():
            raise SourceUnreachable(
                f"there is no folder {self._folder}; give a folder that holds one folder per person"
            )

    @property
    def label(self) -> str:
        """The folder's address."""
        return self._folder.as_uri()

    @property
    def bounds(self) -> CrawlBounds:
        """Limits on what is taken from the folder."""
        return self._bounds

    @property
    def max_concurrency(self) -> int:
        """One thread per core, to read and decode."""
        return os.cpu_count() or 1

    @property
    def counts(self) -> TransferCounts:
        """Reads so far; each file counts as a request."""
        return self._counts

    def refresh_catalogue(self, tables: TableStore) -> CrawlReport:
        """Read the folder's people and files."""
        return CatalogueCrawl(self, tables).run()

    def refresh_photos(self, tables: TableStore, photos: PhotoStore) -> CrawlReport:
        """Read the photos that are neither stored nor refused."""
        return PhotoCrawl(self, tables, photos).run()

    def identities(self, cache: PageCache) -> Iterator[IdentityRecord]:  # noqa: ARG002 - the interface's
        """One person per sub-folder, by name."""
        for person in sorted(self._folder.iterdir()):
            if person.is_dir() and not person.name.startswith("."):
                yield IdentityRecord(
                    identity=person.name, name=person.name.replace("_", " "), page_url=person.as_uri()
                )

    def gallery_pages(self, identity: IdentityRecord, cache: PageCache) -> Iterator[GalleryPage]:  # noqa: ARG002 - the interface's
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
        """The file's bytes; only files inside the folder are read."""
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
