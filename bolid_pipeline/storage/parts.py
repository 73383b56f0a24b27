"""One part of a table: a Parquet file with page checksums, which says what table and schema version it belongs to.

The file's key-value metadata hold `bolid_table` and `bolid_schema_version`, and the metadata of the columns.
"""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bolid_pipeline.errors import DamagedTable, SchemaMismatch
from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.location import Location
from bolid_pipeline.storage.schemas import TableSchema

# A row group of a mappable table is one page per column: Parquet writers cut pages at 20 000 rows, so it has fewer
# rows than that. Large rows make smaller groups still, because object storage is read a row group at a time.
_ONE_PAGE_ROWS = 4096
_ONE_PAGE_BYTES = 1 << 30
_ROW_GROUP_BYTES = 64 * 2**20


def write_part(part: Location, rows: pa.Table, table: str, schema: TableSchema) -> None:
    """Write rows of exactly the schema's columns as a whole file."""
    layout: dict[str, Any] = {"compression": "zstd"}
    if schema.is_mappable:
        layout = {
            "compression": "none",
            "use_dictionary": False,
            # Statistics of an array mean nothing, and would store the whole array four more times per page.
            "write_statistics": [schema.key],
            "data_page_size": _ONE_PAGE_BYTES,
            "row_group_size": max(1, min(_ONE_PAGE_ROWS, _ROW_GROUP_BYTES * rows.num_rows // rows.nbytes)),
            "write_batch_size": _ONE_PAGE_ROWS,
        }
    marks = {"bolid_table": table, "bolid_schema_version": str(schema.version)}
    marked = rows.replace_schema_metadata({**(schema.columns.metadata or {}), **marks})
    sink = pa.BufferOutputStream()
    pq.write_table(marked, sink, write_page_checksum=True, **layout)
    write_atomically(part, memoryview(sink.getvalue()))


def read_part(part: Location, table: str, schema: TableSchema, columns: list[str]) -> pa.Table:
    """Columns of one file, after its schema and checksums were verified.

    Raises:
        FileNotFoundError: the file was merged into another after it was listed.
        SchemaMismatch: the file belongs to another table or schema.
        DamagedTable: the file is cut short or altered.
    """
    with _errors_by_name(part), _open(part) as file:
        _check_schema(part, file.schema_arrow, table, schema)
        rows = _with_added(file.read(columns), schema, columns)
        return rows.replace_schema_metadata(schema.columns.metadata)


def read_row_groups(
    part: Location, table: str, schema: TableSchema, columns: list[str]
) -> Iterator[pa.Table]:
    """The columns of a file as `read_part` reads them, one row group after the other."""
    with _errors_by_name(part), _open(part) as file:
        _check_schema(part, file.schema_arrow, table, schema)
        for group in range(file.num_row_groups):
            yield _with_added(file.read_row_group(group, columns=columns), schema, columns)


def read_row_group(
    part: Location, group: int, table: str, schema: TableSchema, columns: list[str]
) -> pa.Table:
    """The columns of one row group, read as `read_part` does."""
    with _errors_by_name(part), _open(part) as file:
        _check_schema(part, file.schema_arrow, table, schema)
        return _with_added(file.read_row_group(group, columns=columns), schema, columns)


def read_rows(
    part: Location, rows: NDArray[np.intp], table: str, schema: TableSchema, columns: list[str]
) -> pa.Table:
    """The columns of some rows, read as `read_part` does; only the row groups that hold them are read.

    Args:
        part: the file.
        rows: numbers of rows in the file, ascending.
        table: see `read_part`.
        schema: see `read_part`.
        columns: see `read_part`.
    """
    with _errors_by_name(part), _open(part) as file:
        _check_schema(part, file.schema_arrow, table, schema)
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        ends = np.cumsum(sizes)
        group_of_row = np.searchsorted(ends, rows, side="right")
        return pa.concat_tables(
            _with_added(file.read_row_group(group, columns=columns), schema, columns).take(
                pa.array(rows[group_of_row == group] - (ends[group] - sizes[group]))
            )
            for group in np.unique(group_of_row).tolist()
        )


def row_group_sizes(part: Location) -> list[int]:
    """The number of rows of each row group of a file. Raises FileNotFoundError, DamagedTable."""
    with _errors_by_name(part), _open(part) as file:
        return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


def read_schema(part: Location) -> pa.Schema:
    """The columns and metadata of a file of any table. Raises FileNotFoundError, DamagedTable."""
    with _errors_by_name(part), _open(part) as file:
        return file.schema_arrow


def is_whole(part: Location) -> bool:
    """True if a file has its footer, which is written last; False if it was cut short."""
    try:
        read_schema(part)
    except DamagedTable:
        return False
    return True


def keep_rows(part: Location, table: str, schema: TableSchema, is_kept: pa.Array) -> None:
    """Leave only the marked rows in a part; a part without any is deleted."""
    kept = read_part(part, table, schema, schema.columns.names).filter(is_kept)
    if kept.num_rows:
        write_part(part, kept, table, schema)
    else:
        part.unlink()


def next_part_name(parts: Sequence[Location]) -> str:
    """A name that sorts after every part there is, also when the clock went back."""
    newest_ns = int(parts[-1].name.split("-")[1]) if parts else 0
    return f"part-{max(time.time_ns(), newest_ns + 1):020d}-{uuid.uuid4().hex[:8]}.parquet"


def set_aside(part: Location) -> Location:
    """Give a part a name that no Parquet reader looks at, and return it."""
    target = part.with_name(f"_{part.name}.damaged")
    return part.rename(target)  # pyright: ignore[reportArgumentType] - a Path takes a Path, a UPath a UPath


def runs_of_at_most(max_bytes: int, parts: list[Location]) -> list[list[Location]]:
    """Runs of neighbouring parts, together at most `max_bytes`; a larger part is a run by itself."""
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


@contextmanager
def _open(part: Location) -> Iterator[pq.ParquetFile]:
    # pyarrow reads a path without Python in between.
    opened = nullcontext(part) if isinstance(part, Path) else part.open("rb")
    with opened as source, pq.ParquetFile(source, page_checksum_verification=True) as file:
        yield file


@contextmanager
def _errors_by_name(part: Location) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        raise DamagedTable(
            f"{part} cannot be read ({error}); delete it to have its rows made again"
        ) from error


def _with_added(rows: pa.Table, schema: TableSchema, columns: list[str]) -> pa.Table:
    """The columns in this order, with nulls for those that came after the file was written."""
    for name in columns:
        if name in schema.added and name not in rows.column_names:
            field = schema.columns.field(name)
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows.select(columns)


def _check_schema(part: Location, found: pa.Schema, table: str, schema: TableSchema) -> None:
    """Raise SchemaMismatch unless the file holds this table. One that another program wrote has no marks to check."""
    marks = found.metadata or {}
    name = marks.get(b"bolid_table", table.encode()).decode()
    version = marks.get(b"bolid_schema_version", str(schema.version).encode()).decode()
    expected = schema.columns.metadata or {}
    other_metadata = [key.decode() for key, value in expected.items() if marks.get(key) != value]
    later = [column for column in schema.added if column not in found.names]
    expected_columns = pa.schema([field for field in schema.columns if field.name not in later])
    is_same = (name, version) == (table, str(schema.version)) and found.equals(expected_columns)
    if not is_same or other_metadata:
        different = sorted({str(field) for field in found} ^ {str(field) for field in schema.columns})
        raise SchemaMismatch(
            f"{part} is of table {name!r}, schema version {version}; this version of BoLID reads {table!r}, version "
            f"{schema.version} (what differs: {', '.join(different + other_metadata) or 'nothing else'}); move the "
            "file away to have its rows made again"
        )
