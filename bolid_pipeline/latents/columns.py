"""Fixed-length binary columns as float16 arrays, from a table in memory, a mapped file or object storage."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bolid_pipeline.latents.layout import HALF
from bolid_pipeline.storage.location import Location
from bolid_pipeline.storage.parts import read_row_group
from bolid_pipeline.storage.schemas import TableSchema


class Float16Column:
    """A fixed-length binary column of an Arrow table, read without a copy. The arrays are read-only."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._length: int = column.type.byte_width // HALF.itemsize
        self._chunks = [self._view(chunk) for chunk in column.chunks]
        self._ends = list(accumulate(map(len, self._chunks)))

    def row(self, row: int) -> NDArray[np.float16]:
        """(length,) float16, a view of the column."""
        chunk = bisect_right(self._ends, row)
        return self._chunks[chunk][row - self._ends[chunk]]

    def gather(self, rows: NDArray[np.intp]) -> NDArray[np.float16]:
        """(len(rows), length) float16, copied."""
        taken = np.empty((len(rows), self._length), HALF)
        order = np.argsort(rows)  # rows of a chunk one after the other
        bounds = np.searchsorted(rows[order], [0, *self._ends])
        for chunk, end, (first, last) in zip(self._chunks, self._ends, pairwise(bounds), strict=True):
            places = order[first:last]
            taken[places] = chunk[rows[places] - (end - len(chunk))]
        return taken

    def _view(self, chunk: pa.FixedSizeBinaryArray) -> NDArray[np.float16]:
        start, count = chunk.offset * self._length * HALF.itemsize, len(chunk) * self._length
        halves = np.frombuffer(chunk.buffers()[1], HALF, count=count, offset=start)
        halves.flags.writeable = False
        return halves.reshape(-1, self._length)


class RowGroupReader:
    """Columns on object storage. A row group is read, checksums verified, when one of its rows is asked for.

    The last few row groups are kept, so memory stays flat. Nobody may write to the table meanwhile.

    Args:
        table: the table's name.
        schema: its columns.
        sizes: part -> number of rows in each of its row groups; rows are counted in this order.
        columns: the columns to read, fixed-length binary each.
        max_bytes: memory for the row groups that are kept; at least one is.
    """

    def __init__(
        self,
        table: str,
        schema: TableSchema,
        sizes: dict[Location, list[int]],
        columns: Sequence[str],
        max_bytes: int,
    ) -> None:
        self._table, self._schema, self._columns = table, schema, list(columns)
        self._places = [(part, group) for part, of_part in sizes.items() for group in range(len(of_part))]
        all_sizes = [size for of_part in sizes.values() for size in of_part]
        self._ends = list(accumulate(all_sizes))
        largest_bytes = max(all_sizes) * sum(schema.columns.field(name).type.byte_width for name in columns)
        self.num_kept = max(1, min(len(all_sizes), max_bytes // largest_bytes))
        """The most row groups that are in memory."""
        self._read = lru_cache(self.num_kept)(self._read_group)

    def row(self, column: str, row: int) -> NDArray[np.float16]:
        """(length,) float16, a view of the row group."""
        group = self.group_of(row)
        return self._read(group)[column].row(row - (self._ends[group - 1] if group else 0))

    def group_of(self, row: int) -> int:
        """The number of the row group that a row lies in."""
        return bisect_right(self._ends, row)

    def _read_group(self, number: int) -> dict[str, Float16Column]:
        part, group = self._places[number]
        rows = read_row_group(part, group, self._table, self._schema, self._columns)
        return {name: Float16Column(rows[name]) for name in self._columns}
