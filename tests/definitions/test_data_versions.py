"""Data versions: equal for equal data, and another one for any change that matters."""

import pyarrow as pa
import pytest

from assets.metadata import rows_version, stage_version

ROWS = pa.table({"photo_id": ["a", "b"], "reasons": [[], ["too_small"]], "fetched_at": [1, 2]})
COLUMNS = ["photo_id", "reasons"]


def test_the_order_of_rows_and_columns_that_do_not_count_change_no_version():
    same = pa.table({"reasons": [["too_small"], []], "photo_id": ["b", "a"], "fetched_at": [8, 9]})
    assert rows_version(same, COLUMNS) == rows_version(ROWS, COLUMNS)
    assert stage_version(same, "made by") == stage_version(ROWS, "made by")


@pytest.mark.parametrize(
    "other",
    [
        ROWS.slice(1),
        pa.table({"photo_id": ["a", "c"], "reasons": [[], ["too_small"]]}),
        pa.table({"photo_id": ["a", "b"], "reasons": [[], ["watermarked"]]}),
    ],
)
def test_another_row_or_another_value_is_another_version(other):
    assert rows_version(other, COLUMNS) != rows_version(ROWS, COLUMNS)


def test_a_stage_has_another_version_for_other_photos_or_another_recipe():
    versions = {
        stage_version(ROWS, "recipe").value,
        stage_version(ROWS.slice(1), "recipe").value,
        stage_version(ROWS, "other recipe").value,
        stage_version(ROWS, "recipe", "recipe of the body").value,
    }
    assert len(versions) == 4


def test_a_stage_that_copies_the_person_has_another_version_for_another_person():
    photos = ROWS.append_column("identity", pa.array(["anna", "anna"]))
    relabelled = ROWS.append_column("identity", pa.array(["anna", "boris"]))
    assert stage_version(photos, "recipe") == stage_version(relabelled, "recipe")
    assert stage_version(photos, "r", copied=["identity"]) != stage_version(
        relabelled, "r", copied=["identity"]
    )


def test_a_table_without_rows_has_a_version():
    assert rows_version(ROWS.slice(2), COLUMNS) == rows_version(ROWS.slice(2), COLUMNS)
