"""The tables of the contract: append-only Parquet parts in which the last write of a key wins."""

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bolid_pipeline.errors import DamagedTable, SchemaMismatch, UnknownTable
from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.schemas import SCHEMAS, TableSchema

# A row group of at most these rows and bytes per column is written as one page (Parquet writers cut at 20 000
# rows).
_ONE_PAGE_ROWS = 4096
_ONE_PAGE_BYTES = 1 << 30


class TableStore:
    """Parquet datasets `<data_dir>/tables/<table>/part-<time>-<random>.parquet`, for any Parquet reader.

    A part appears whole (see `write_atomically`) and is never changed by `append`; names sort by time of
    writing, so that of two rows with the same key the later one counts.
    """

    def __init__(self, data_dir: str | Path) -> None:
        self._root = Path(data_dir) / "tables"
        self._schemas = dict(SCHEMAS)

    @property
    def root(self) -> Path:
        """The folder that holds one folder per table."""
        return self._root

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

    def folder(self, table: str) -> Path:
        """Where the table's parts lie; the folder may not exist yet."""
        self.schema(table)
        return self._root / table

    def parts(self, table: str) -> list[Path]:
        """The table's files, oldest first."""
        return sorted(self.folder(table).glob("part-*.parquet"))

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
        pieces = [_read_part(part, schema, needed) for part in self.parts(table)]
        rows = pa.concat_tables(pieces) if pieces else schema.columns.empty_table()
        return _last_of_each_key(rows, schema.key).select(wanted)

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
            UnknownTable, SchemaMismatch (another column, type, or a null where none may be).
        """
        schema = self.schema(table)
        checked = _last_of_each_key(_conform(table, rows, schema), schema.key)
        if checked.num_rows:
            write_atomically(self.folder(table) / self._next_part_name(table), _to_parquet(checked, schema))
        return checked.num_rows

    def outdated(self, table: str, keys: Sequence[str], fingerprint: str | None = None) -> list[str]:
        """The keys, in their order, without a row, or with one of another `model_fingerprint`."""
        key = self.schema(table).key
        if fingerprint is None:
            current = set(self.read(table, [key])[key].to_pylist())
        else:
            rows = self.read(table, [key, "model_fingerprint"])
            current = set(rows.filter(pc.field("model_fingerprint") == fingerprint)[key].to_pylist())
        return [value for value in keys if value not in current]

    def delete(self, table: str, column: str, values: Collection[str]) -> int:
        """Drop the rows whose `column` is one of `values`; returns how many current rows went."""
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
            keys: list[str] = _read_part(part, schema, [schema.key])[schema.key].to_pylist()
            if seen.isdisjoint(keys):
                seen.update(keys)
                continue
            num_dropped += _keep(part, schema, pa.array([key not in seen for key in keys], pa.bool_()))
            seen.update(keys)
        return num_dropped

    def _rewrite(self, table: str, column: str, is_kept: pc.Expression) -> int:
        """Keep the rows that pass `is_kept`, an expression over `column`; parts that lose none are not touched."""
        schema = self.schema(table)
        num_before = self.count(table)
        for part in self.parts(table):
            values = _read_part(part, schema, [column])
            if values.filter(is_kept).num_rows < values.num_rows:
                _keep(part, schema, is_kept)
        return num_before - self.count(table)

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


def _to_parquet(rows: pa.Table, schema: TableSchema) -> memoryview:
    """The bytes of a Parquet file with page checksums, laid out as the schema asks."""
    layout: dict[str, Any] = {"compression": "zstd"}
    if schema.is_mappable:
        layout = {
            "compression": "none",
            "use_dictionary": False,
            # Statistics of an array mean nothing, and would be the whole array again, four times per page.
            "write_statistics": [schema.key],
            "data_page_size": _ONE_PAGE_BYTES,
            "row_group_size": _ONE_PAGE_ROWS,
            "write_batch_size": _ONE_PAGE_ROWS,
        }
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, write_page_checksum=True, **layout)
    return memoryview(sink.getvalue())


def _read_part(part: Path, schema: TableSchema, columns: list[str]) -> pa.Table:
    """Columns of one file, checksums verified, after a look at its schema."""
    try:
        with pq.ParquetFile(part, page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(schema.columns):
                raise SchemaMismatch(
                    f"{part} has another schema than this version's; move it away to rebuild the table"
                )
            return file.read(columns).select(columns).replace_schema_metadata(schema.columns.metadata)
    except (pa.ArrowInvalid, OSError) as error:
        raise DamagedTable(
            f"{part} cannot be read ({error}); delete it to have its rows made again"
        ) from error


def _keep(part: Path, schema: TableSchema, mask: pa.Array | pc.Expression) -> int:
    """Leave only the masked rows in a part, and no part without rows; returns how many went."""
    rows = _read_part(part, schema, schema.columns.names)
    kept = rows.filter(mask)
    if kept.num_rows:
        write_atomically(part, _to_parquet(kept, schema))
    else:
        part.unlink()
    return rows.num_rows - kept.num_rows


def _last_of_each_key(rows: pa.Table, key: str) -> pa.Table:
    """Of rows with the same key the last one, order kept."""
    numbered = pa.table({"key": rows[key], "row": np.arange(rows.num_rows)})
    last = numbered.group_by("key").aggregate([("row", "max")])["row_max"]
    return rows if len(last) == rows.num_rows else rows.take(last.sort())
