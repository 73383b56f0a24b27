"""Rows picked by the values of a column."""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc


def is_one_of(column: pa.ChunkedArray, values: Collection[str]) -> pa.ChunkedArray:
    """One bool per row: True if the column's value is one of `values`."""
    # The values get the column's type: pyarrow takes an empty list for one of nulls and refuses to compare the two.
    return pc.is_in(column, value_set=pa.array(list(values), column.type))
