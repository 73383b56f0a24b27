"""Rows of a table: written, read, replaced and deleted by key, and refused where they do not fit its schema."""

import datetime as dt
from dataclasses import replace
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from table_rows import detection, score

from bolid_pipeline.errors import SchemaMismatch, UnknownTable
from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.tables import TableStore


def values(type_: pa.DataType) -> st.SearchStrategy[Any]:
    """A strategy for Python values of an Arrow type."""
    if pa.types.is_list(type_):
        return st.lists(values(type_.value_type), max_size=3)
    if pa.types.is_fixed_size_list(type_):
        return st.lists(values(type_.value_type), min_size=type_.list_size, max_size=type_.list_size)
    if pa.types.is_struct(type_):
        return st.fixed_dictionaries({field.name: values(field.type) for field in type_})
    if pa.types.is_timestamp(type_):
        first, last = dt.datetime(1970, 1, 1), dt.datetime(2200, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
        return st.datetimes(first, last, timezones=st.just(dt.UTC))
    return {
        pa.string(): st.text(st.characters(exclude_categories=["Cs"])),
        pa.binary(): st.binary(max_size=20),
        pa.bool_(): st.booleans(),
        pa.int32(): st.integers(-(2**31), 2**31 - 1),
        pa.int64(): st.integers(-(2**63), 2**63 - 1),
        pa.float32(): st.floats(width=32, allow_nan=False),
    }[type_]


def rows(table) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            field.name: values(field.type) | st.none() if field.nullable else values(field.type)
            for field in SCHEMAS[table].columns
        }
    )


@pytest.mark.parametrize("table", [name for name in SCHEMAS if not SCHEMAS[name].is_sized_by_model])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_was_written_is_read(table, data, tmp_path_factory):
    tables = TableStore(tmp_path_factory.mktemp("store"))
    key = SCHEMAS[table].key
    written = data.draw(st.lists(rows(table), max_size=4, unique_by=lambda row: row[key]))

    assert tables.append(table, written) == len(written)

    assert tables.read(table).to_pylist() == written
    assert tables.read(table).schema == SCHEMAS[table].columns


def test_the_last_write_of_a_key_wins(tables):
    tables.append("watermark_scores", [score("x", 0.25), score("y")])
    tables.append("watermark_scores", [score("x", 0.75)])

    assert tables.read("watermark_scores").to_pylist() == [score("y"), score("x", 0.75)]
    assert tables.count("watermark_scores") == 2


def test_the_last_write_wins_when_the_clock_goes_back(tables, monkeypatch):
    for second, prob in ((200, 0.25), (100, 0.75)):
        monkeypatch.setattr("bolid_pipeline.storage.parts.time.time_ns", lambda now=second * 10**9: now)
        tables.append("watermark_scores", [score("x", prob)])

    assert tables.read("watermark_scores")["watermark_prob"].to_pylist() == [0.75]


def test_the_last_of_equal_keys_in_one_batch_wins(tables):
    assert tables.append("watermark_scores", [score("x", 0.25), score("x", 0.75)]) == 1
    assert tables.read("watermark_scores").to_pylist() == [score("x", 0.75)]


def test_columns_are_read_in_the_order_asked_for(tables):
    tables.append("watermark_scores", [score("x")])
    assert tables.read("watermark_scores", ["model_fingerprint", "watermark_prob"]).column_names == [
        "model_fingerprint",
        "watermark_prob",
    ]


def test_an_empty_table_has_its_schema_and_no_file(tables, tmp_path):
    assert tables.append("poses", []) == 0
    assert tables.read("poses").schema == SCHEMAS["poses"].columns
    assert not (tmp_path / "tables").exists()


def test_any_parquet_reader_sees_plain_columns(tables):
    tables.append("watermark_scores", [score("x"), score("y")])
    assert pq.read_table(tables.folder("watermark_scores")).to_pylist() == [score("x"), score("y")]


@pytest.mark.parametrize(
    "bad",
    [
        [{"photo_id": "x", "watermark_prob": 0.5}],
        [score("x") | {"colour": "red"}],
        [score(None)],
        [score("x", prob="high")],
        pa.table({"photo_id": ["x"], "watermark_prob": [0.5], "model_fingerprint": ["a"]}),  # float64
    ],
    ids=["column missing", "column too many", "null key", "text for a number", "wider numbers"],
)
def test_rows_of_another_schema_are_refused_whole(tables, bad):
    with pytest.raises(SchemaMismatch, match="watermark_scores"):
        tables.append("watermark_scores", bad)
    assert tables.parts("watermark_scores") == []


def test_unknown_tables_are_refused_by_name(tables):
    with pytest.raises(UnknownTable, match=r"watermarks.*watermark_scores"):
        tables.read("watermarks")


def test_a_file_of_another_schema_is_refused_by_name(tables):
    part = tables.folder("poses") / "part-1-a.parquet"
    part.parent.mkdir(parents=True)
    pq.write_table(pa.table({"photo_id": ["x"]}), part)
    with pytest.raises(SchemaMismatch, match="part-1-a"):
        tables.read("poses")


def test_outdated_keys_are_missing_or_of_another_fingerprint(tables):
    tables.append(
        "watermark_scores", [score("x", fingerprint="old"), score("y"), score("z", fingerprint=None)]
    )
    seen = tables.snapshot("watermark_scores", ["model_fingerprint"])
    assert seen.missing(["w", "x", "y", "z"], "model_fingerprint", "a") == ["w", "x", "z"]
    assert seen.missing(["w", "x", "y", "z"]) == ["w"]


def test_delete_rewrites_every_part_that_holds_the_value(tables):
    photo = dict.fromkeys(SCHEMAS["raw_photos"].columns.names)
    tables.append("raw_photos", [photo | {"photo_id": "1", "identity": "ann"}])
    tables.append(
        "raw_photos",
        [photo | {"photo_id": i, "identity": who} for i, who in (("2", "ann"), ("3", "bob"), ("4", None))],
    )

    assert tables.delete("raw_photos", "identity", {"ann"}) == 2

    assert tables.read("raw_photos", ["identity"]).to_pylist() == [{"identity": "bob"}, {"identity": None}]
    assert len(tables.parts("raw_photos")) == 1
    assert all(b"ann" not in path.read_bytes() for path in tables.parts("raw_photos"))


def test_prune_keeps_only_the_given_keys(tables):
    tables.append("watermark_scores", [score("x"), score("y")])
    tables.append("watermark_scores", [score("z")])
    assert tables.prune("watermark_scores", ["y", "other"]) == 2
    assert tables.read("watermark_scores").to_pylist() == [score("y")]
    assert tables.prune("watermark_scores", ["y"]) == 0


def test_a_table_of_another_schema_version_is_refused_by_name(tables, monkeypatch):
    tables.append("watermark_scores", [score("x")])
    newer = replace(SCHEMAS["watermark_scores"], version=2)
    monkeypatch.setitem(SCHEMAS, "watermark_scores", newer)
    with pytest.raises(SchemaMismatch, match=r"part-.*'watermark_scores', schema version 1; .* version 2"):
        tables.read("watermark_scores")


def test_polars_reads_a_table_as_it_is(tables):
    tables.append("face_detections", [detection("x"), detection("y")])
    rows = pl.read_parquet(tables.folder("face_detections"))
    assert rows["photo_id"].to_list() == ["x", "y"]
    assert rows["faces"][0].to_list() == detection("x")["faces"]


def test_a_superseded_row_does_not_come_back_when_its_successor_goes(tables):
    blank = dict.fromkeys(SCHEMAS["raw_photos"].columns.names)
    for identity in ("ann", "bob"):
        tables.append("raw_photos", [blank | {"photo_id": "1", "identity": identity}])
    assert tables.delete("raw_photos", "identity", {"bob"}) == 1
    assert tables.count("raw_photos") == 0
    assert tables.parts("raw_photos") == []
