"""The cached latents: opening their table as a memory map, and proving that it is whole."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bolid_pipeline.errors import ForeignLatents, NotEnoughData
from bolid_pipeline.latents.buckets import Bucket
from bolid_pipeline.latents.columns import Float16Column, RowGroupReader
from bolid_pipeline.latents.config import LatentModels
from bolid_pipeline.latents.layout import (
    KEYPOINTS_SHAPE,
    LATENTS,
    TABLE,
    LatentLayout,
    layout_of,
)
from bolid_pipeline.latents.mapped_parts import map_part
from bolid_pipeline.storage.parts import read_part, read_schema, row_group_sizes
from bolid_pipeline.storage.tables import TableStore

BUFFER_BYTES = 2**30
"""Memory for the latents of a table on object storage."""


def open_latents(
    tables: TableStore, models: LatentModels, *, buffer_bytes: int = BUFFER_BYTES
) -> "LatentTable":
    """The latents that `models` made, in the order of identity and photo id.

    In a folder the files are mapped. On object storage a row group is read when one of its rows is asked for.

    Args:
        tables: the store that holds the table.
        models: the models that must have made the latents.
        buffer_bytes: memory for the latents of a table on object storage.

    Raises:
        NotEnoughData: the table is empty.
        ForeignLatents: other models made the latents, or the files differ in their layout.
    """
    layout = stored_layout(tables, models)
    is_here = isinstance(tables.root, Path)
    rows, stored = _map_rows(tables) if is_here else _read_all_but_latents(tables, buffer_bytes)
    return LatentTable(rows, layout, order=_newest_by_identity(rows), stored=stored)


def stored_layout(tables: TableStore, models: LatentModels) -> LatentLayout:
    """The layout of the stored latents. Raises as `open_latents`."""
    folder, parts = tables.folder(TABLE), tables.parts(TABLE)
    if not parts:
        raise NotEnoughData(f"no latents in {folder}: materialise `latents` first")
    layout, *others = [layout_of(read_schema(part)) for part in parts]
    if layout is None or layout.models != models.fingerprint() or any(other != layout for other in others):
        raise ForeignLatents(
            f"the latents in {folder} were not made by {models.vae}: materialise `latents` again"
        )
    return layout


def _map_rows(tables: TableStore) -> tuple[pa.Table, None]:
    names = tables.schema(TABLE).columns.names
    return pa.concat_tables(tables.read_parts(TABLE, lambda part: map_part(Path(str(part)), names))), None


def _read_all_but_latents(tables: TableStore, buffer_bytes: int) -> tuple[pa.Table, RowGroupReader]:
    schema, parts = tables.schema(TABLE), tables.parts(TABLE)
    names = [name for name in schema.columns.names if name not in LATENTS]
    rows = pa.concat_tables([read_part(part, TABLE, schema, names) for part in parts])
    sizes = {part: row_group_sizes(part) for part in parts}
    return rows, RowGroupReader(TABLE, schema, sizes, LATENTS, buffer_bytes)


def verify_latents(tables: TableStore) -> list[str]:
    """Read every array and verify its checksum, one row group at a time.

    Returns:
        The ids of photos with a NaN or an infinity in an array.

    Raises:
        DamagedTable: the checksum of a page is wrong.
    """
    not_finite: list[str] = []
    arrays = (*LATENTS, "image_embed")
    for group in tables.read_row_groups(TABLE, ["photo_id", *arrays]):
        is_finite = np.ones(group.num_rows, bool)
        for name in arrays:
            column = Float16Column(group[name])
            is_finite &= [np.isfinite(column.row(row)).all() for row in range(group.num_rows)]
        not_finite += group["photo_id"].filter(pa.array(~is_finite)).to_pylist()
    return not_finite


class LatentTable:
    """Rows of `latents` as numpy arrays. The latents of a row are read-only views of the table or of its file.

    Of each row only its ids, crop and keypoints are in memory.

    Args:
        rows: the columns of `layout`, without the latents if `stored` reads them.
        layout: shapes of the rows.
        order: numbers of the N rows to show, in this order; by default all, as they come.
        stored: reads the latents of the rows, if they are on object storage.
    """

    def __init__(
        self,
        rows: pa.Table,
        layout: LatentLayout,
        order: NDArray[np.intp] | None = None,
        *,
        stored: RowGroupReader | None = None,
    ) -> None:
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
        self._image_embeds = Float16Column(rows["image_embed"])
        self.keypoints = Float16Column(rows["keypoints"]).gather(self._order).reshape(-1, *KEYPOINTS_SHAPE)
        """(N, 17, 3) float16: x, y in [0, 1] of the crop, confidence (0 for a keypoint outside of it)."""
        self.crops = np.asarray(facts["crop"].combine_chunks().flatten()).reshape(-1, 4)
        """(N, 4) float32: x, y, width, height in px of the photo."""
        self._latents, self._body_latents = (_row_reader(rows, stored, name) for name in LATENTS)
        aspects = np.array([math.log(bucket.aspect) for bucket in layout.buckets])
        self.bucket_N = np.abs(np.log(self.crops[:, 3:] / self.crops[:, 2:3]) - aspects).argmin(axis=1)
        """(N,): number of each row's bucket in the layout's buckets."""
        self._buckets = layout.buckets
        self._shapes = [(math.prod(shape), shape) for shape in layout.latent_shapes.values()]
        self.group_N = None if stored is None else [stored.group_of(int(row)) for row in self._order]
        """Number of the row group of each row; None if all rows are in memory or mapped."""
        self.num_groups_kept = 1 if stored is None else stored.num_kept
        """The most row groups that are in memory."""

    def __len__(self) -> int:
        return len(self.photo_ids)

    def bucket(self, row: int) -> Bucket:
        """The bucket of a row."""
        return self._buckets[self.bucket_N[row]]

    def rows_of(self, bucket: Bucket) -> NDArray[np.intp]:
        """The numbers of all rows of a bucket, ascending."""
        return np.flatnonzero(self.bucket_N == self._buckets.index(bucket))

    def rows_of_people(self) -> dict[str, list[int]]:
        """Person -> the numbers of the person's rows, ascending."""
        rows: dict[str, list[int]] = {}
        for row, person in enumerate(self.identities):
            rows.setdefault(person, []).append(row)
        return rows

    def image_embeds(self, rows: NDArray[np.integer]) -> NDArray[np.float16]:
        """(..., D) float16: the image embeddings of row numbers in an array of any shape, copied."""
        embeds = self._image_embeds.gather(self._order[rows.ravel()])
        return embeds.reshape(*rows.shape, -1)

    def latent(self, row: int) -> NDArray[np.float16]:
        """(C, h, w) float16: the unscaled posterior mean of the crop."""
        return self._shaped(self._latents, row)

    def body_latent(self, row: int) -> NDArray[np.float16]:
        """(C, h, w) float16: the unscaled posterior mean of the crop weighted by its keypoints."""
        return self._shaped(self._body_latents, row)

    def _shaped(self, read: "_RowReader", row: int) -> NDArray[np.float16]:
        length, shape = self._shapes[self.bucket_N[row]]
        return read(self._order[row])[:length].reshape(shape)


_RowReader = Callable[[int], NDArray[np.float16]]


def _row_reader(rows: pa.Table, stored: RowGroupReader | None, name: str) -> _RowReader:
    return Float16Column(rows[name]).row if stored is None else partial(stored.row, name)


def _newest_by_identity(rows: pa.Table) -> NDArray[np.intp]:
    """Numbers of the current rows, by identity and photo id. A later row replaces one with the same photo id."""
    numbered = rows.select(["identity", "photo_id"]).append_column("row", pa.array(np.arange(rows.num_rows)))
    newest = numbered.group_by("photo_id").aggregate([("row", "max")])["row_max"]
    by_identity = numbered.take(newest).sort_by([("identity", "ascending"), ("photo_id", "ascending")])
    return by_identity["row"].to_numpy()
