"""One look at a table: the key of every stored row, which rows are current, and some of their columns.

Shape suffix: N stored rows, oldest first, superseded ones included.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bolid_pipeline.storage.location import Location
from bolid_pipeline.storage.rows import is_one_of
from bolid_pipeline.storage.schemas import TableSchema


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The content of a table's files when they were read. Later writes by others are not in it."""

    table: str
    schema: TableSchema
    parts: tuple[Location, ...]
    """The files, oldest first."""
    foreign_parts: tuple[Location, ...]
    """Files of a table like `latents` whose columns differ from the expected ones; their rows are left out."""
    rows: pa.Table
    """N rows: the key and the columns that were asked for."""
    part_N: NDArray[np.intp]
    """Index into `parts` of the file that each row lies in."""
    is_current_N: NDArray[np.bool_]
    """False for a row that a later write of the same key replaced."""

    @property
    def num_current(self) -> int:
        """Number of current rows."""
        return int(self.is_current_N.sum())

    def holds(self, column: str, values: Collection[str]) -> NDArray[np.bool_]:
        """(N,) bool: True if the row's `column` is one of `values`."""
        return is_one_of(self.rows[column], values).to_numpy()

    def missing(self, keys: Sequence[str], column: str | None = None, value: str | None = None) -> list[str]:
        """The keys without a current row (or without one whose `column` is `value`), in their order."""
        current = self.rows.filter(pa.array(self.is_current_N))
        if column is not None:
            current = current.filter(pc.field(column) == value)
        known = set(current[self.schema.key].to_pylist())
        return [key for key in keys if key not in known]

    def only(self, is_kept_N: NDArray[np.bool_]) -> "Snapshot":
        """A snapshot of these rows alone, without foreign parts."""
        return replace(
            self,
            foreign_parts=(),
            rows=self.rows.filter(pa.array(is_kept_N)),
            part_N=self.part_N[is_kept_N],
            is_current_N=self.is_current_N[is_kept_N],
        )


def is_last_of_its_key(keys: pa.ChunkedArray) -> NDArray[np.bool_]:
    """(N,): False for a row whose key comes again further down."""
    numbered = pa.table({"key": keys, "row": np.arange(len(keys))})
    is_last_N = np.zeros(len(keys), bool)
    is_last_N[numbered.group_by("key").aggregate([("row", "max")])["row_max"].to_numpy()] = True
    return is_last_N
