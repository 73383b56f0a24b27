"""The data folder: tables, photos, checkpoints and reports."""

from pathlib import Path

import dagster as dg
import pyarrow as pa

from bolid_pipeline.curation.curate import kept_photos
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore


class DataStore(dg.ConfigurableResource["DataStore"]):
    """Where the data set, the checkpoints and the reports live."""

    data_dir: str

    @property
    def root(self) -> Path:
        """The data folder."""
        return Path(self.data_dir)

    @property
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
        return self.root / "checkpoints"

    @property
    def reports(self) -> Path:
        """One folder per evaluated checkpoint."""
        return self.root / "reports"

    def kept_photos(self) -> pa.Table:
        """The rows of `raw_photos` that the curation kept."""
        return kept_photos(self.tables.read("raw_photos"), self.tables.read("curated_photos"))

    def captions(self) -> dict[str, str]:
        """Photo id -> caption, of the photos that could be read."""
        rows = self.tables.read("captions", ["photo_id", "caption"]).to_pylist()
        return {row["photo_id"]: row["caption"] for row in rows if row["caption"] is not None}
