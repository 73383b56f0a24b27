"""The content of a data folder, for comparing two of them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bolid_pipeline.storage.location import Location
from bolid_pipeline.storage.tables import TableStore


def contents(data_dir: Location) -> dict[str, Any]:
    """The tables (read by another Parquet reader, by key and without times), the photos, and unfinished files."""
    tables = TableStore(data_dir)
    found: dict[str, Any] = {}
    for table in tables.names:
        if not tables.parts(table):
            continue
        key, rows = tables.schema(table).key, _read_by_others(tables.folder(table))
        times = [field.name for field in rows.schema if pa.types.is_timestamp(field.type)]
        rows = rows.drop_columns(times).sort_by(key).to_pylist()
        assert len({row[key] for row in rows}) == len(rows), f"{table} holds a row twice"
        found[table] = rows
    found["photos"] = {path.name: path.read_bytes() for path in data_dir.glob("photos/*/*")}
    found["unfinished"] = list(data_dir.rglob(".*.tmp"))
    return found


def _read_by_others(folder: Location) -> pa.Table:
    return (
        pq.read_table(folder)
        if isinstance(folder, Path)
        else pq.read_table(folder.path, filesystem=folder.fs)
    )
