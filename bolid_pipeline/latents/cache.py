"""The cached latents: preparing their table, opening it as a memory map, and proving that it is whole."""

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bolid_pipeline.errors import ForeignLatents, NotEnoughData
from bolid_pipeline.latents.buckets import Bucket
from bolid_pipeline.latents.config import LatentModels
from bolid_pipeline.latents.layout import HALF, KEYPOINTS_SHAPE, TABLE, LatentLayout, layout_of, table_schema
from bolid_pipeline.latents.mapped_parts import map_part
from bolid_pipeline.storage.parts import read_schema
from bolid_pipeline.storage.tables import TableStore

_logger = logging.getLogger(__name__)


def register_as_stored(tables: TableStore) -> None:
    """Make the table known as its files say, whatever models they are of; nothing where there are none."""
    parts = sorted((tables.root / TABLE).glob("part-*.parquet"), key=str)
    if parts:
        tables.register(TABLE, table_schema(read_schema(parts[0])))


def prepare_table(tables: TableStore, layout: LatentLayout) -> None:
    """Make the table known, and drop parts of another layout, which cannot stand beside new ones."""
    tables.register(TABLE, layout.schema())
    for part in tables.parts(TABLE):
        columns = read_schema(part)
        if layout_of(columns) != layout or not columns.equals(layout.schema().columns):
            _logger.warning("%s holds latents of another model or layout: dropped, to be made again", part)
            part.unlink()


def open_latents(tables: TableStore, models: LatentModels) -> "LatentTable":
    """The latents that `models` made, in the order of identity and photo id; arrays are mapped, not read.

    Raises:
        NotEnoughData: there are none.
        ForeignLatents: there are some, but of other models, or of more than one layout.
    """
    layout = register(tables, models)
    columns = layout.schema().columns.names
    rows = pa.concat_tables(tables.read_parts(TABLE, lambda part: map_part(part, columns)))
    return LatentTable(rows, layout, order=_newest_by_identity(rows))


def register(tables: TableStore, models: LatentModels) -> LatentLayout:
    """Make the table known as `models` made it, and say how. Raises as `open_latents`."""
    folder = tables.root / TABLE
    parts = sorted(folder.glob("part-*.parquet"), key=str)
    if not parts:
        raise NotEnoughData(f"no latents in {folder}: materialise `latents` first")
    layout, *others = [layout_of(read_schema(part)) for part in parts]
    if layout is None or layout.models != models.fingerprint() or any(other != layout for other in others):
        raise ForeignLatents(
            f"the latents in {folder} were not made by {models.vae}: materialise `latents` again"
        )
    tables.register(TABLE, layout.schema())
    return layout


def verify_latents(tables: TableStore) -> list[str]:
    """Read every latent with its checksum, one row group at a time.

    Returns:
        The ids of photos with a NaN or an infinity in an array.

    Raises:
        DamagedTable: a page does not have its checksum.
    """
    not_finite: list[str] = []
    for group in tables.read_row_groups(TABLE, ["photo_id", "latent", "body_latent", "image_embed"]):
        is_finite = np.ones(group.num_rows, bool)
        for name in ("latent", "body_latent", "image_embed"):
            column = _Halves(group[name])
            is_finite &= [np.isfinite(column[row]).all() for row in range(group.num_rows)]
        not_finite += group["photo_id"].filter(pa.array(~is_finite)).to_pylist()
    return not_finite


class LatentTable:
    """Rows of `latents` as numpy arrays. Arrays of a row are read-only views of the table, or of its file.

    Args:
        rows: columns as `layout` says.
        layout: of the rows.
        order: the numbers of the N rows to show, in this order; all as they come by default.
    """

    def __init__(self, rows: pa.Table, layout: LatentLayout, order: NDArray[np.intp] | None = None) -> None:
        self.layout = layout
        self._rows = rows
        self._order = np.arange(rows.num_rows) if order is None else order
        facts = rows.select(["photo_id", "identity", "crop", "model_fingerprint", "body_fingerprint"])
        facts = facts.take(pa.array(self._order))
        self.photo_ids: list[str] = facts["photo_id"].to_pylist()
        self.identities: list[str] = facts["identity"].to_pylist()
        made_by = zip(
            facts["model_fingerprint"].to_pylist(), facts["body_fingerprint"].to_pylist(), strict=True
        )
        self.row_fingerprints: list[str] = [f"{model}-{body}" for model, body in made_by]
        self.image_embeds = _Halves(rows["image_embed"]).gather(self._order)
        """(N, D) float16."""
        self.keypoints = _Halves(rows["keypoints"]).gather(self._order).reshape(-1, *KEYPOINTS_SHAPE)
        """(N, 17, 3) float16: x, y in [0, 1] of the crop, confidence (0 for a keypoint outside of it)."""
        self.crops = np.asarray(facts["crop"].combine_chunks().flatten()).reshape(-1, 4)
        """(N, 4) float32: x, y, width, height in px of the photo."""
        self._latents = _Halves(rows["latent"])
        self._body_latents = _Halves(rows["body_latent"])
        aspects = np.array([math.log(bucket.aspect) for bucket in layout.buckets])
        self._bucket_N = np.abs(np.log(self.crops[:, 3:] / self.crops[:, 2:3]) - aspects).argmin(axis=1)

    def __len__(self) -> int:
        return len(self.photo_ids)

    def bucket(self, row: int) -> Bucket:
        """The bucket of a row."""
        return self.layout.buckets[self._bucket_N[row]]

    def rows_of(self, bucket: Bucket) -> NDArray[np.intp]:
        """The numbers of all rows of a bucket, rising."""
        return np.flatnonzero(self._bucket_N == self.layout.buckets.index(bucket))

    def rows(self, rows: Sequence[int]) -> pa.Table:
        """Rows as they are stored, copied."""
        return self._rows.take(pa.array(self._order[rows]))

    def latent(self, row: int) -> NDArray[np.float16]:
        """(C, h, w) float16: the unscaled posterior mean of the crop."""
        return self._shaped(self._latents, row)

    def body_latent(self, row: int) -> NDArray[np.float16]:
        """(C, h, w) float16: the same of the crop weighted by its keypoints."""
        return self._shaped(self._body_latents, row)

    def _shaped(self, latents: "_Halves", row: int) -> NDArray[np.float16]:
        shape = self.layout.latent_shapes[self.bucket(row)]
        return latents[self._order[row]][: math.prod(shape)].reshape(shape)


class _Halves:
    """A fixed-length binary column as float16 arrays, row by row, as they lie in its chunks."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._length: int = column.type.byte_width // HALF.itemsize
        self._chunks = [self._view(chunk) for chunk in column.chunks]
        self._ends = np.cumsum([len(chunk) for chunk in self._chunks])

    def __getitem__(self, row: Any) -> NDArray[np.float16]:
        chunk = int(np.searchsorted(self._ends, row, side="right"))
        return self._chunks[chunk][row - self._ends[chunk]]

    def gather(self, rows: NDArray[np.intp]) -> NDArray[np.float16]:
        """(len(rows), length), copied."""
        return np.concatenate([np.empty((0, self._length), HALF), *self._chunks])[rows]

    def _view(self, chunk: pa.FixedSizeBinaryArray) -> NDArray[np.float16]:
        start, count = chunk.offset * self._length * HALF.itemsize, len(chunk) * self._length
        halves = np.frombuffer(chunk.buffers()[1], HALF, count=count, offset=start)
        halves.flags.writeable = False
        return halves.reshape(-1, self._length)


def _newest_by_identity(rows: pa.Table) -> NDArray[np.intp]:
    """Row numbers in the order of identity and photo id; of rows with the same photo id the last one's."""
    numbered = rows.select(["identity", "photo_id"]).append_column("row", pa.array(np.arange(rows.num_rows)))
    newest = numbered.group_by("photo_id").aggregate([("row", "max")])["row_max"]
    by_identity = numbered.take(newest).sort_by([("identity", "ascending"), ("photo_id", "ascending")])
    return by_identity["row"].to_numpy()
