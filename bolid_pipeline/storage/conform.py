"""Rows brought to the columns of their table, or refused."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from bolid_pipeline.errors import SchemaMismatch
from bolid_pipeline.storage.schemas import TableSchema


def conform(table: str, rows: pa.Table | list[dict[str, Any]], columns: pa.Schema) -> pa.Table:
    """The rows with exactly these columns, in their order.

    Raises:
        SchemaMismatch: a column is missing, unknown or of another type, or null where it may not be.
    """
    arrow = _from_dicts(table, rows, columns) if isinstance(rows, list) else rows
    if set(arrow.column_names) != set(columns.names):
        different = sorted(set(arrow.column_names) ^ set(columns.names))
        raise SchemaMismatch(f"rows for {table!r} differ in the columns {different}")
    arrow = arrow.select(columns.names)
    for field in columns:
        if not arrow.schema.field(field.name).type.equals(field.type):
            found = arrow.schema.field(field.name).type
            raise SchemaMismatch(f"{table}.{field.name} is {field.type}, the rows hold {found}")
        if not field.nullable and arrow[field.name].null_count:
            raise SchemaMismatch(f"{table}.{field.name} may not be null")
    return arrow.cast(columns)


def sized_as(schema: TableSchema, table: str, rows: pa.Table | list[dict[str, Any]]) -> TableSchema:
    """The schema of a table that is sized by its model, with the widths and the metadata of its first rows.

    Raises:
        SchemaMismatch: the rows do not say how wide an array is.
    """
    found = pa.schema([]) if isinstance(rows, list) else rows.schema
    types = {field.name: field.type for field in found}
    unsized = [
        field.name
        for field in schema.columns
        if field.type == pa.binary() and not pa.types.is_fixed_size_binary(types.get(field.name, pa.null()))
    ]
    if unsized:
        raise SchemaMismatch(
            f"the first rows for {table!r} need columns of a fixed width: {', '.join(unsized)}"
        )
    fields = [
        field.with_type(types[field.name]) if field.type == pa.binary() else field for field in schema.columns
    ]
    return replace(schema, columns=pa.schema(fields, found.metadata))


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
