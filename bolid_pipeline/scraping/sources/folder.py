"""Your own photos: a folder with one folder per person, `<folder>/<person>/**/<photo>`."""

from pathlib import Path

from bolid_pipeline.errors import SourceUnreachable
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.own_photos.catalogue_sync import CatalogueSync
from bolid_pipeline.scraping.own_photos.photo_sync import PhotoSync
from bolid_pipeline.scraping.report import CrawlReport
from bolid_pipeline.scraping.transfer_counts import TransferCounts
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore


class FolderSource:
    """A `PhotoSource` that keeps the tables in step with a folder, without hidden files and folders.

    Files of every type are offered; content decides what they are, and why one is refused.
    """

    def __init__(self, folder: str | Path, bounds: CrawlConfig | None = None) -> None:
        self._folder = Path(folder).resolve()
        self._bounds = bounds or CrawlConfig()
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
    def bounds(self) -> CrawlConfig:
        """Limits on what is taken from the folder."""
        return self._bounds

    @property
    def counts(self) -> TransferCounts:
        """Reads so far; each file counts as a request."""
        return self._counts

    def refresh_catalogue(self, tables: TableStore) -> CrawlReport:
        """Walk the folder: who is there, and which files are new, changed or gone."""
        return CatalogueSync(self._folder, self.label, self._bounds, tables).run()

    def refresh_photos(self, tables: TableStore, photos: PhotoStore) -> CrawlReport:
        """Read new and changed files, and bring photos and refusals in line with all of them."""
        return PhotoSync(self._folder, self.label, self._bounds, self._counts, tables, photos).run()
