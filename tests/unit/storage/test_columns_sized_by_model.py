"""The table of latents, whose columns are as wide as its models make them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bolid_pipeline.errors import SchemaMismatch
from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.tables import TableStore


def latents(photo_ids, width=4, metadata=None):
    columns = SCHEMAS["latents"].columns
    fields = [field.with_type(pa.binary(width)) if field.type == pa.binary() else field for field in columns]
    values = {"photo_id": "", "crop": [0.0] * 4} | {
        field.name: b"x" * width for field in fields if pa.types.is_fixed_size_binary(field.type)
    }
    rows = [dict.fromkeys(columns.names, "a") | values | {"photo_id": photo_id} for photo_id in photo_ids]
    return pa.Table.from_pylist(rows, pa.schema(fields, metadata))


def test_the_widths_of_latents_are_those_of_their_files(tables):
    assert tables.read("latents").num_rows == 0
    tables.append("latents", latents("ab", metadata={"models": "m"}))
    assert TableStore(tables.root.parent).read("latents").equals(latents("ab"))
    assert tables.schema("latents").columns.field("latent").type == pa.binary(4)
    assert tables.schema("latents").columns.metadata[b"models"] == b"m"
    tables.append("latents", latents("c"))
    tables.compact("latents")
    assert tables.read("latents", ["photo_id"])["photo_id"].to_pylist() == ["a", "b", "c"]


def test_latents_of_another_width_are_refused_beside_the_stored_ones(tables):
    tables.append("latents", latents("ab"))
    with pytest.raises(SchemaMismatch, match=r"latents\.latent is fixed_size_binary\[4\]"):
        tables.append("latents", latents("c", width=8))
    assert tables.count("latents") == 2


def test_first_latents_without_a_width_are_refused(tables):
    with pytest.raises(SchemaMismatch, match="fixed width: latent, body_latent"):
        tables.append("latents", latents("ab").to_pylist())


@pytest.mark.parametrize("other", [{"width": 8}, {"metadata": {"models": "other"}}], ids=["width", "models"])
def test_a_look_for_other_latents_lists_the_stored_files_apart(tables, other):
    tables.append("latents", latents("ab", metadata={"models": "m"}))
    seen = tables.snapshot("latents", expected=latents("", **other).schema)
    assert (seen.num_current, seen.parts, seen.foreign_parts) == (0, (), tuple(tables.parts("latents")))
    tables.keep(seen, seen.is_current_N)
    assert tables.parts("latents") == []


def test_rows_are_found_in_their_row_groups_by_key(tables, monkeypatch):
    monkeypatch.setattr("bolid_pipeline.storage.parts._ONE_PAGE_ROWS", 3)
    tables.append("latents", latents("abcdefgh"))
    tables.append("latents", latents("ijklmn"))
    tables.delete("latents", "photo_id", "dk")
    keys = list("nbhaci")
    found = tables.rows_at(tables.snapshot("latents"), keys, ["photo_id", "latent"])
    assert found["photo_id"].to_pylist() == keys
    assert pq.ParquetFile(tables.parts("latents")[0]).num_row_groups == 3
