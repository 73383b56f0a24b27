"""Locations of the data: tables and photos in a folder or on object storage, checkpoints and reports in a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pyarrow as pa

from bolid_pipeline.curation.curate import kept_photos
from bolid_pipeline.overview.page import PAGE_FILE, write_overview
from bolid_pipeline.overview.people import DataSet
from bolid_pipeline.storage.location import Location, local_root, locate
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore
from resources.dead_runs import hold_store_for_run
from resources.deployments import Deployment
from resources.source_address import folder_of, is_folder


class DataStore(dg.ConfigurableResource["DataStore"]):
    """The data set, the checkpoints and the reports.

    A run holds the store while it lasts, and begins by clearing up after a run that was killed.
    """

    data_dir: str
    """A folder, or an address such as `s3://bucket/prefix`."""
    local_dir: str | None = None
    """A folder for checkpoints and reports; `data_dir` by default."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["DataStore"]:
        """The store, for this run alone. Raises StoreLocked."""
        with hold_store_for_run(context, self.data_dir):
            self.tables.recover()
            self.photos.recover()
            yield self

    @property
    def root(self) -> Location:
        """The data folder, or its address."""
        return locate(self.data_dir)

    @property
    def local_root(self) -> Path:
        """The folder of this machine for checkpoints and reports."""
        return local_root(self.root, Path(self.local_dir) if self.local_dir else None)

    @cached_property
    def tables(self) -> TableStore:
        """The Parquet tables under `<data_dir>/tables/`."""
        return TableStore(self.root)

    @property
    def photos(self) -> PhotoStore:
        """The photo files under `<data_dir>/photos/`."""
        return PhotoStore(self.root)

    @property
    def checkpoints(self) -> Path:
        """One folder per training run."""
        return self.local_root / "checkpoints"

    @property
    def reports(self) -> Path:
        """One folder per evaluated checkpoint."""
        return self.local_root / "reports"

    def write_overview(self, deployment: Deployment, path: Path | None = None) -> Path:
        """Bring the page of what the data set holds up to date; `overview.html` beside the checkpoints by default."""
        path = path or self.local_root / PAGE_FILE
        address = deployment.source_url or ""
        source = str(folder_of(address)) if is_folder(address) else urlsplit(address).hostname
        write_overview(
            path, DataSet(self.tables), self.photos, deployment.curation, source or "the synthetic world"
        )
        return path

    def kept_photos(self) -> pa.Table:
        """The rows of `raw_photos` that the curation kept."""
        return kept_photos(self.tables.read("raw_photos"), self.tables.read("curated_photos"))

    def photo_ids(self, table: str) -> list[str]:
        """The photos that a table has rows about."""
        return self.tables.read(table, ["photo_id"])["photo_id"].to_pylist()

    def captions(self) -> dict[str, str]:
        """Photo id -> caption, of the photos that could be read."""
        rows = self.tables.read("captions", ["photo_id", "caption"])
        captions = zip(rows["photo_id"].to_pylist(), rows["caption"].to_pylist(), strict=True)
        return {photo_id: caption for photo_id, caption in captions if caption is not None}

    def photo_clusters(self) -> dict[str, str]:
        """Photo id -> its group of near duplicates."""
        rows = self.tables.read("photo_clusters", ["photo_id", "cluster_id"])
        return dict(zip(rows["photo_id"].to_pylist(), rows["cluster_id"].to_pylist(), strict=True))


def data_store_of(deployment: Deployment) -> DataStore:
    """The store where the deployment keeps its data."""
    folder = deployment.local_dir
    return DataStore(data_dir=str(deployment.data_dir), local_dir=str(folder) if folder else None)
