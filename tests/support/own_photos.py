"""A folder of one's own photos that a test changes, and the data folder that is kept in step with it."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from small_crawls import jpeg
from stored import contents

from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.crawler import CrawlReport, crawl_catalogue, crawl_photos
from bolid_pipeline.scraping.fetch_journal import FetchJournal
from bolid_pipeline.scraping.outcomes import IDENTITY_STATUSES, REJECTION_REASONS
from bolid_pipeline.scraping.sources.folder import FolderSource
from bolid_pipeline.storage.location import Location
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore

TWO_PEOPLE = {f"{person}/{n}.jpg": 10 * p + n for p, person in enumerate(("hugo", "pavel")) for n in range(4)}
"""Two people of four different photos each."""


class OwnPhotos:
    """A folder, and refreshes of a data folder from it."""

    def __init__(self, base: Path, name: str = "photos") -> None:
        self.root = base / name
        self.root.mkdir(parents=True, exist_ok=True)
        self.catalogue: CrawlReport
        self.use(self.root, base / "data")

    def use(self, root: Path, data_dir: Location) -> None:
        """Work on these folders from now on."""
        self.root, self.data_dir = root, data_dir
        self.tables, self.photos = TableStore(data_dir), PhotoStore(data_dir)

    def add(self, place: str | bytes, data: bytes | int) -> Path:
        """Write a file below the root; a number stands for the picture of this seed."""
        path = self.root / os.fsdecode(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(data) if isinstance(data, int) else data)
        return path

    def add_all(self, files: Mapping[str, bytes | int]) -> None:
        for place, data in files.items():
            self.add(place, data)

    def move(self, old: str, new: str) -> None:
        """Move a file or folder below the root."""
        target = self.root / new
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.root / old).rename(target)

    def move_root(self, new: Path) -> None:
        self.root.rename(new)
        self.root = new

    def refresh(self, **bounds: Any) -> CrawlReport:
        self.tables.recover()
        self.photos.recover()
        source = self.source(**bounds)
        self.catalogue = crawl_catalogue(source, self.tables)
        report = crawl_photos(source, self.tables, self.photos)
        self.check()
        return report

    def source(self, **bounds: Any) -> FolderSource:
        limits: dict[str, Any] = {"min_photos": 1}
        return FolderSource(self.root, CrawlConfig(**(limits | bounds)))

    def check(self) -> None:
        """Every photo has its bytes, every word is a known one, and no file is there without a row."""
        path_of = dict(self.rows("raw_photos", "photo_id", "path"))
        assert self.photos.paths() == set(path_of.values())
        for photo_id, path in path_of.items():
            assert hashlib.sha256(self.photos.read(path)).hexdigest() == photo_id
        assert set(self.statuses.values()) <= IDENTITY_STATUSES
        assert set(self.refused.values()) <= REJECTION_REASONS
        assert FetchJournal(self.data_dir, self.photos).is_empty

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        return sorted(tuple(row.values()) for row in self.tables.read(table, columns).to_pylist())

    @property
    def statuses(self) -> dict[str, str]:
        return dict(self.rows("identity_catalogue", "identity", "status"))

    @property
    def stored(self) -> dict[str, str]:
        """Address of the file -> person, of every photo."""
        return dict(self.rows("raw_photos", "page_url", "identity"))

    @property
    def refused(self) -> dict[str, str]:
        """Address of the file -> reason."""
        return dict(self.rows("rejected_downloads", "page_url", "reason"))

    def contents(self) -> dict[str, Any]:
        """All tables and photos, without times."""
        found = contents(self.data_dir)
        for row in found.get("folder_files", []):
            del row["mtime_ns"]
        return {name: content for name, content in found.items() if content}

    def fresh_contents(self) -> dict[str, Any]:
        """What a first refresh of the folder, as it is now, into an empty data folder gives."""
        with tempfile.TemporaryDirectory() as base:
            fresh = OwnPhotos(Path(base))
            fresh.use(self.root, fresh.data_dir)
            fresh.refresh()
            return fresh.contents()

    def check_as_fresh(self) -> None:
        """Check that the tables and photos are those of a first refresh."""
        assert self.contents() == self.fresh_contents()


class DecodeCount:
    """Counts how often each content is decoded."""

    def __init__(self, decode: Callable[..., Any]) -> None:
        self._decode = decode
        self.count_of: dict[str, int] = {}

    def __call__(self, data: bytes, *args: Any, **options: Any) -> Any:
        sha256 = hashlib.sha256(data).hexdigest()
        self.count_of[sha256] = self.count_of.get(sha256, 0) + 1
        return self._decode(data, *args, **options)
