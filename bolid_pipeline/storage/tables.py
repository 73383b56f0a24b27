"""The tables of the contract: append-only Parquet parts in which the last write of a key wins."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bolid_pipeline.errors import SchemaMismatch
from bolid_pipeline.storage.conform import conform, sized_as
from bolid_pipeline.storage.location import Location, locate
from bolid_pipeline.storage.parts import (
    is_whole,
    keep_rows,
    next_part_name,
    read_part,
    read_row_groups,
    read_rows,
    read_schema,
    runs_of_at_most,
    set_aside,
    write_part,
)
from bolid_pipeline.storage.schemas import SCHEMAS, TableSchema, schema_of
from bolid_pipeline.storage.snapshot import Snapshot, is_last_of_its_key

MAX_PARTS = 32
"""A table of more parts is compacted after it was refreshed."""
MAX_COMPACTED_BYTES = 256 * 2**20
"""Parts are merged up to this size, so that large ones are not written again and again."""

_logger = logging.getLogger(__name__)


class TableStore:
    """Parquet datasets `<data_dir>/tables/<table>/part-<time>-<random>.parquet`, for any Parquet reader.

    A part appears whole (see `write_atomically`), and `append` never changes it. Names sort by time of writing: of
    two rows with the same key, the later one is current. Reading needs no lock and may go on while one process
    writes; a writer holds the store (`store_lock.py`).
    """

    def __init__(self, data_dir: str | Location) -> None:
        self._root = locate(data_dir) / "tables"

    @property
    def root(self) -> Location:
        """The folder that holds one folder per table."""
        return self._root

    @property
    def names(self) -> tuple[str, ...]:
        """All tables, with or without rows."""
        return tuple(SCHEMAS)

    def schema(self, table: str) -> TableSchema:
        """The table's key and columns; widths that depend on a model are those of the newest file.

        Raises:
            UnknownTable, DamagedTable.
        """
        schema = schema_of(table)
        parts = self.parts(table) if schema.is_sized_by_model else []
        return replace(schema, columns=_columns_of_file(parts[-1])) if parts else schema

    def folder(self, table: str) -> Location:
        """The location of the table's parts; the folder may not exist yet. Raises UnknownTable."""
        schema_of(table)
        return self._root / table

    def parts(self, table: str) -> list[Location]:
        """The table's files, oldest first."""
        return sorted(self.folder(table).glob("part-*.parquet"), key=lambda part: part.name)

    def read(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The current rows, in the order they were last written; an empty table if there are none.

        Args:
            table: the table's name.
            columns: which columns to read, in this order; all by default.

        Raises:
            UnknownTable, SchemaMismatch (a file of another schema), DamagedTable (a file cut short or
            altered).
        """
        schema = self.schema(table)
        wanted = schema.columns.names if columns is None else list(columns)
        needed = wanted if schema.key in wanted else [*wanted, schema.key]
        pieces = self.read_parts(table, lambda part: read_part(part, table, schema, needed))
        rows = pa.concat_tables(pieces) if pieces else schema.columns.empty_table()
        return _last_of_each_key(rows, schema.key).select(wanted)

    def read_parts(self, table: str, read: Callable[[Location], pa.Table]) -> list[pa.Table]:
        """The result of `read` for each part, oldest first; begins again if parts were merged or dropped meanwhile."""
        while True:
            parts = self.parts(table)
            try:
                return [read(part) for part in parts]
            except FileNotFoundError:
                if self.parts(table) == parts:
                    raise

    def read_row_groups(self, table: str, columns: list[str]) -> Iterator[pa.Table]:
        """All stored rows, superseded ones included, one row group at a time, checksums verified.

        Nobody may write to the table meanwhile. Raises as `read`.
        """
        schema = self.schema(table)
        for part in self.parts(table):
            yield from read_row_groups(part, table, schema, columns)

    def count(self, table: str) -> int:
        """The number of current rows."""
        return self.read(table, [schema_of(table).key]).num_rows

    def append(self, table: str, rows: pa.Table | list[dict[str, Any]]) -> int:
        """Commit rows as one part, all or none. Without rows nothing is written.

        Args:
            table: the table's name.
            rows: an Arrow table or one dict per row, with exactly the table's columns.

        Returns:
            The number of rows written; of rows with the same key only the last one is.

        Raises:
            UnknownTable, SchemaMismatch (another column, type, or a null where none may be), StorageFull.
        """
        schema, parts = self.schema(table), self.parts(table)
        if schema.is_sized_by_model and not parts:
            schema = sized_as(schema, table, rows)
        checked = _last_of_each_key(conform(table, rows, schema.columns), schema.key)
        if checked.num_rows:
            write_part(self.folder(table) / next_part_name(parts), checked, table, schema)
        return checked.num_rows

    def snapshot(
        self, table: str, columns: Sequence[str] = (), *, expected: pa.Schema | None = None
    ) -> Snapshot:
        """The key and some columns of every stored row, by one look at each part.

        Args:
            table: the table's name.
            columns: which columns to read beside the key.
            expected: columns and metadata of a table that is sized by its model; parts of others are listed apart.

        Raises:
            As `read`.
        """
        schema = self.schema(table) if expected is None else replace(schema_of(table), columns=expected)
        needed = list(dict.fromkeys([schema.key, *columns]))
        parts: list[Location] = []
        foreign: list[Location] = []
        pieces = [schema.columns.empty_table().select(needed)]
        for part in self.parts(table):
            try:
                pieces.append(read_part(part, table, schema, needed))
                parts.append(part)
            except SchemaMismatch:
                if not schema.is_sized_by_model or expected is None:
                    raise
                foreign.append(part)
        rows = pa.concat_tables(pieces)
        return Snapshot(
            table=table,
            schema=schema,
            parts=tuple(parts),
            foreign_parts=tuple(foreign),
            rows=rows,
            part_N=np.repeat(np.arange(len(parts)), [piece.num_rows for piece in pieces[1:]]),
            is_current_N=is_last_of_its_key(rows[schema.key]),
        )

    def keep(self, seen: Snapshot, is_kept_N: NDArray[np.bool_]) -> Snapshot:
        """Remove all other rows and the foreign parts; a part that loses no row is not touched.

        Args:
            seen: the table as it is.
            is_kept_N: which of its rows stay. A superseded row must not stay without its successor.

        Returns:
            The table after that.
        """
        for part in seen.foreign_parts:
            _logger.warning("%s holds %s of another model: dropped, to be made again", part, seen.table)
            part.unlink()
        # Oldest first: after a kill in between, every superseded row that is left still has its successor.
        for number in np.unique(seen.part_N[~is_kept_N]).tolist():
            is_kept = pa.array(is_kept_N[seen.part_N == number])
            keep_rows(seen.parts[number], seen.table, seen.schema, is_kept)
        return seen.only(is_kept_N)

    def rows_at(self, seen: Snapshot, keys: Sequence[str], columns: Sequence[str]) -> pa.Table:
        """Columns of the stored rows with these keys, in their order; only the row groups that hold them are read.

        Args:
            seen: the table as it is, without superseded rows.
            keys: keys that it holds, each once.
            columns: which columns to read.
        """
        wanted = pa.array(keys, pa.string())
        row_K = pc.index_in(wanted, value_set=seen.rows[seen.schema.key].combine_chunks()).to_numpy()
        order_K = np.argsort(row_K)
        pieces: list[pa.Table] = []
        for number in np.unique(seen.part_N[row_K]).tolist():
            first = int(np.searchsorted(seen.part_N, number))
            in_part = np.sort(row_K[seen.part_N[row_K] == number]) - first
            pieces.append(read_rows(seen.parts[number], in_part, seen.table, seen.schema, list(columns)))
        return pa.concat_tables(pieces).take(pa.array(np.argsort(order_K)))

    def delete(self, table: str, column: str, values: Collection[str]) -> int:
        """Remove the rows whose `column` is one of `values` from the files; returns the number of current ones."""
        seen = self.snapshot(table, [column])
        return self._drop_all_but(seen, ~seen.holds(column, values))

    def prune(self, table: str, keys: Collection[str]) -> int:
        """Remove the rows whose key is not one of `keys`; returns the number of current ones."""
        seen = self.snapshot(table)
        return self._drop_all_but(seen, seen.holds(seen.schema.key, keys))

    def drop_superseded(self, table: str) -> int:
        """Remove rows that a later write of their key replaced, so that any Parquet reader sees each key once.

        `read` does not need it. Returns the number of removed rows.
        """
        seen = self.snapshot(table)
        self.keep(seen, seen.is_current_N)
        return len(seen.is_current_N) - seen.num_current

    def compact(self, table: str, max_bytes: int = MAX_COMPACTED_BYTES) -> int:
        """Remove superseded rows, and merge neighbouring parts that are together at most `max_bytes`.

        Returns:
            The number of files that were merged into others.
        """
        # The merged rows replace the newest part of their run before the older ones go. So a crash in between leaves
        # rows twice, which the next compaction mends, and a reader that misses an older part finds its rows in the
        # newest.
        self.drop_superseded(table)
        schema = self.schema(table)
        runs = runs_of_at_most(max_bytes, self.parts(table))
        for run in (run for run in runs if len(run) > 1):
            rows = pa.concat_tables(read_part(part, table, schema, schema.columns.names) for part in run)
            if schema.cluster_by:
                rows = rows.sort_by([(column, "ascending") for column in schema.cluster_by])
            write_part(run[-1], rows, table, schema)
            for part in run[:-1]:
                part.unlink()
        return sum(len(run) - 1 for run in runs)

    def limit_parts(self, table: str) -> None:
        """Merge parts where there are more than MAX_PARTS."""
        if len(self.parts(table)) > MAX_PARTS:
            self.compact(table)

    def tidy(self, table: str) -> None:
        """Drop superseded rows, and merge parts where there are too many: what a table needs after writes."""
        self.drop_superseded(table)
        self.limit_parts(table)

    def delete_set_aside(self) -> None:
        """Remove the parts that `recover` set aside: nobody can say whose rows they hold."""
        for part in self._root.glob("*/_part-*.damaged"):
            part.unlink()

    def recover(self) -> list[Location]:
        """Clear up after a writer that was killed: remove unfinished files, set parts aside that were cut short.

        Returns:
            The files set aside, under names that no Parquet reader looks at. Their rows are missing now, so the
            next refresh makes them again.
        """
        for unfinished in self._root.glob("*/.*.tmp"):
            unfinished.unlink()
        cut_short = [
            part for part in sorted(self._root.glob("*/part-*.parquet"), key=str) if not is_whole(part)
        ]
        for part in cut_short:
            _logger.warning("%s was cut short: set aside, its rows will be made again", part)
        return [set_aside(part) for part in cut_short]

    def _drop_all_but(self, seen: Snapshot, is_kept_N: NDArray[np.bool_]) -> int:
        """Keep only marked rows that are current; returns the number of current rows that were removed."""
        return seen.num_current - self.keep(seen, seen.is_current_N & is_kept_N).num_current


# A part's columns never change: it is rewritten only without some of its rows, and names are never used again.
_columns_of_file = lru_cache(maxsize=64)(read_schema)


def _last_of_each_key(rows: pa.Table, key: str) -> pa.Table:
    """The last row of each key, order kept."""
    is_last_N = is_last_of_its_key(rows[key])
    return rows if is_last_N.all() else rows.filter(pa.array(is_last_N))
