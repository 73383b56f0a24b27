"""The tables of the contract: append-only Parquet parts in which the last write of a key wins."""

import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bolid_pipeline.errors import SchemaMismatch, UnknownTable
from bolid_pipeline.storage.location import Location, locate
from bolid_pipeline.storage.parts import is_whole, read_part, read_row_groups, write_part
from bolid_pipeline.storage.schemas import SCHEMAS, TableSchema

MAX_PARTS = 32
"""A table of more parts is compacted after it was refreshed."""
MAX_COMPACTED_BYTES = 256 * 2**20
"""Parts are merged up to this size, so that large ones are not written again and again."""

_logger = logging.getLogger(__name__)


class TableStore:
    """Parquet datasets `<data_dir>/tables/<table>/part-<time>-<random>.parquet`, for any Parquet reader.

    A part appears whole (see `write_atomically`) and is never changed by `append`; names sort by time of
    writing, so that of two rows with the same key the later one counts. Reading needs no lock and may go on
    while one process writes; who writes holds the store (`store_lock.py`).
    """

    def __init__(self, data_dir: str | Location) -> None:
        self._root = locate(data_dir) / "tables"
        self._schemas = dict(SCHEMAS)

    @property
    def root(self) -> Location:
        """The folder that holds one folder per table."""
        return self._root

    @property
    def names(self) -> tuple[str, ...]:
        """The tables that are known, whether they hold rows or not."""
        return tuple(self._schemas)

    def register(self, table: str, schema: TableSchema) -> None:
        """Make a table known whose columns depend on a model, like `latents`."""
        self._schemas[table] = schema

    def schema(self, table: str) -> TableSchema:
        """The table's key and columns. Raises UnknownTable."""
        try:
            return self._schemas[table]
        except KeyError:
            raise UnknownTable(
                f"no table {table!r}; known tables: {', '.join(sorted(self._schemas))}"
            ) from None

    def folder(self, table: str) -> Location:
        """Where the table's parts lie; the folder may not exist yet."""
        self.schema(table)
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
        """What `read` makes of each part, oldest first; begins again if a writer merged or dropped some meanwhile."""
        while True:
            parts = self.parts(table)
            try:
                return [read(part) for part in parts]
            except FileNotFoundError:
                if self.parts(table) == parts:
                    raise

    def read_row_groups(self, table: str, columns: list[str]) -> Iterator[pa.Table]:
        """All rows that are stored, superseded ones too, in pieces of at most a row group, checksums verified.

        For a table that nobody writes to meanwhile. Raises as `read`.
        """
        for part in self.parts(table):
            yield from read_row_groups(part, table, self.schema(table), columns)

    def count(self, table: str) -> int:
        """How many current rows there are."""
        return self.read(table, [self.schema(table).key]).num_rows

    def append(self, table: str, rows: pa.Table | list[dict[str, Any]]) -> int:
        """Commit rows as one part, all or none; no part for no rows.

        Args:
            table: the table's name.
            rows: an Arrow table or one dict per row, with exactly the table's columns.

        Returns:
            The number of rows written; of rows with the same key only the last one is.

        Raises:
            UnknownTable, SchemaMismatch (another column, type, or a null where none may be), StorageFull.
        """
        schema = self.schema(table)
        checked = _last_of_each_key(_conform(table, rows, schema), schema.key)
        if checked.num_rows:
            write_part(self.folder(table) / self._next_part_name(table), checked, table, schema)
        return checked.num_rows

    def outdated(
        self,
        table: str,
        keys: Sequence[str],
        fingerprint: str | None = None,
        *,
        fingerprint_column: str = "model_fingerprint",
    ) -> list[str]:
        """The keys, in their order, without a row, or with one of another fingerprint."""
        key = self.schema(table).key
        if fingerprint is None:
            current = set(self.read(table, [key])[key].to_pylist())
        else:
            rows = self.read(table, [key, fingerprint_column])
            current = set(rows.filter(pc.field(fingerprint_column) == fingerprint)[key].to_pylist())
        return [value for value in keys if value not in current]

    def delete(self, table: str, column: str, values: Collection[str]) -> int:
        """Drop the rows whose `column` is one of `values`, out of the files too; returns how many went."""
        gone = pa.array(list(values), self.schema(table).columns.field(column).type)
        return self._rewrite(table, column, ~pc.field(column).isin(gone))

    def prune(self, table: str, keys: Collection[str]) -> int:
        """Drop the rows whose key is not one of `keys`; returns how many current rows went."""
        schema = self.schema(table)
        kept = pa.array(list(keys), schema.columns.field(schema.key).type)
        return self._rewrite(table, schema.key, pc.field(schema.key).isin(kept))

    def drop_superseded(self, table: str) -> int:
        """Drop rows that a later write of their key replaced, so that any Parquet reader sees each key once.

        Returns how many rows went. `read` does not need it.
        """
        schema = self.schema(table)
        seen: set[str] = set()
        num_dropped = 0
        for part in reversed(self.parts(table)):
            keys: list[str] = read_part(part, table, schema, [schema.key])[schema.key].to_pylist()
            if not seen.isdisjoint(keys):
                is_current = pa.array([key not in seen for key in keys], pa.bool_())
                num_dropped += self._keep(part, table, is_current)
            seen.update(keys)
        return num_dropped

    def compact(self, table: str, max_bytes: int = MAX_COMPACTED_BYTES) -> int:
        """Drop superseded rows and merge neighbouring parts of together at most `max_bytes`.

        The merged rows take the place of the newest part of their run before the older ones go. So a crash in
        between leaves rows twice, which the next compaction puts right, and a reader that misses an older
        part finds its rows in the newest.

        Returns:
            How many files there are fewer.
        """
        self.drop_superseded(table)
        schema = self.schema(table)
        runs = _runs_of_at_most(max_bytes, self.parts(table))
        for run in (run for run in runs if len(run) > 1):
            rows = pa.concat_tables(read_part(part, table, schema, schema.columns.names) for part in run)
            if schema.cluster_by:
                rows = rows.sort_by([(column, "ascending") for column in schema.cluster_by])
            write_part(run[-1], rows, table, schema)
            for part in run[:-1]:
                part.unlink()
        return sum(len(run) - 1 for run in runs)

    def tidy(self, table: str) -> None:
        """What a table needs after it was written to: no superseded rows, and not too many parts."""
        self.drop_superseded(table)
        if len(self.parts(table)) > MAX_PARTS:
            self.compact(table)

    def delete_set_aside(self) -> None:
        """Remove the parts that `recover` set aside: nobody can say whose rows they hold."""
        for part in self._root.glob("*/_part-*.damaged"):
            part.unlink()

    def recover(self) -> list[Location]:
        """Clear up after a writer that was killed: unfinished files go, parts that were cut short are set aside.

        Returns:
            The files set aside, under names that no Parquet reader looks at; their rows are missing now, so
            that the stage which makes them makes them again.
        """
        for unfinished in self._root.glob("*/.*.tmp"):
            unfinished.unlink()
        cut_short = [
            part for part in sorted(self._root.glob("*/part-*.parquet"), key=str) if not is_whole(part)
        ]
        for part in cut_short:
            _logger.warning("%s was cut short: set aside, its rows will be made again", part)
        return [_set_aside(part) for part in cut_short]

    def _rewrite(self, table: str, column: str, is_kept: pc.Expression) -> int:
        """Keep the rows that pass `is_kept`, an expression over `column`; parts that lose none are not touched.

        Superseded rows go first: one of them must not become current because its successor was dropped.
        """
        self.drop_superseded(table)
        schema = self.schema(table)
        num_dropped = 0
        for part in self.parts(table):
            values = read_part(part, table, schema, [column])
            if values.filter(is_kept).num_rows < values.num_rows:
                num_dropped += self._keep(part, table, is_kept)
        return num_dropped

    def _keep(self, part: Location, table: str, mask: pa.Array | pc.Expression) -> int:
        """Leave only the masked rows in a part, and no part without rows; returns how many went."""
        schema = self.schema(table)
        rows = read_part(part, table, schema, schema.columns.names)
        kept = rows.filter(mask)
        if kept.num_rows:
            write_part(part, kept, table, schema)
        else:
            part.unlink()
        return rows.num_rows - kept.num_rows

    def _next_part_name(self, table: str) -> str:
        """A name that sorts after every part there is, also when the clock went back."""
        parts = self.parts(table)
        newest_ns = int(parts[-1].name.split("-")[1]) if parts else 0
        return f"part-{max(time.time_ns(), newest_ns + 1):020d}-{uuid.uuid4().hex[:8]}.parquet"


def _conform(table: str, rows: pa.Table | list[dict[str, Any]], schema: TableSchema) -> pa.Table:
    """The rows with exactly the schema's columns, in its order, or SchemaMismatch."""
    arrow = _from_dicts(table, rows, schema.columns) if isinstance(rows, list) else rows
    if set(arrow.column_names) != set(schema.columns.names):
        different = sorted(set(arrow.column_names) ^ set(schema.columns.names))
        raise SchemaMismatch(f"rows for {table!r} differ in the columns {different}")
    arrow = arrow.select(schema.columns.names)
    for field in schema.columns:
        if not arrow.schema.field(field.name).type.equals(field.type):
            found = arrow.schema.field(field.name).type
            raise SchemaMismatch(f"{table}.{field.name} is {field.type}, the rows hold {found}")
        if not field.nullable and arrow[field.name].null_count:
            raise SchemaMismatch(f"{table}.{field.name} may not be null")
    return arrow.cast(schema.columns)


def _from_dicts(table: str, rows: Sequence[Mapping[str, Any]], columns: pa.Schema) -> pa.Table:
    for row in rows:
        different = sorted(set(row) ^ set(columns.names))
        if different:
            raise SchemaMismatch(f"a row for {table!r} differs in the columns {different}")
    nullable = pa.schema([field.with_nullable(True) for field in columns])
    try:
        return pa.Table.from_pylist(list(rows), nullable)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise SchemaMismatch(f"rows for {table!r}: {error}") from error


def _set_aside(part: Location) -> Location:
    target = part.with_name(f"_{part.name}.damaged")
    return part.rename(target)  # pyright: ignore[reportArgumentType] - a Path takes a Path, a UPath a UPath


def _runs_of_at_most(max_bytes: int, parts: list[Location]) -> list[list[Location]]:
    """Neighbours together up to `max_bytes`; a larger part stays alone."""
    runs: list[list[Location]] = []
    num_bytes = 0
    for part in parts:
        size = part.stat().st_size
        if not runs or num_bytes + size > max_bytes:
            runs.append([])
            num_bytes = 0
        runs[-1].append(part)
        num_bytes += size
    return runs


def _last_of_each_key(rows: pa.Table, key: str) -> pa.Table:
    """Of rows with the same key the last one, order kept."""
    numbered = pa.table({"key": rows[key], "row": np.arange(rows.num_rows)})
    last = numbered.group_by("key").aggregate([("row", "max")])["row_max"]
    return rows if len(last) == rows.num_rows else rows.take(last.sort())
