"""Picking rows by values, of which there may be none."""

import pyarrow as pa
import pytest

from bolid_pipeline.storage.rows import is_one_of


@pytest.mark.parametrize("chunks", [[], [[]], [["a", "b"], [None, "c"]]], ids=["none", "empty", "two"])
@pytest.mark.parametrize("values", [[], ["c"], {"a", "c"}], ids=["nothing", "one", "a set"])
def test_values_are_found_in_any_number_of_rows(chunks, values):
    column = pa.chunked_array(chunks, pa.string())
    assert is_one_of(column, values).to_pylist() == [value in values for value in column.to_pylist()]


def test_an_empty_list_can_be_looked_for_in_a_column_of_any_type():
    column = pa.chunked_array([[1, 2]], pa.int32())
    assert is_one_of(column, []).to_pylist() == [False, False]
