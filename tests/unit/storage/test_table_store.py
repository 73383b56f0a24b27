import datetime as dt
import hashlib
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bolid_pipeline.errors import DamagedTable, SchemaMismatch, UnknownTable
from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.tables import MAX_PARTS, TableStore


@pytest.fixture
def tables(tmp_path):
    return TableStore(tmp_path)


def score(photo_id, prob: object = 0.5, fingerprint: str | None = "a"):
    return {"photo_id": photo_id, "watermark_prob": prob, "model_fingerprint": fingerprint}


def caption(photo_id):
    words = hashlib.sha256(photo_id.encode()).hexdigest()  # does not compress
    return {"photo_id": photo_id, "caption": words, "model_fingerprint": "a"}


def detection(photo_id):
    face = {"x1": 1.0, "y1": 2.0, "x2": 3.0, "y2": 4.0, "conf": 0.5}
    return {
        "photo_id": photo_id,
        "num_faces": 1,
        "num_persons": 1,
        "faces": [face],
        "model_fingerprint": "a",
    }


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


def test_a_truncated_part_is_named(tables):
    tables.append("watermark_scores", [score("x")])
    (part,) = tables.parts("watermark_scores")
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(DamagedTable, match=part.name):
        tables.read("watermark_scores")


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


def test_superseded_rows_are_dropped_for_other_readers(tables):
    tables.append("watermark_scores", [score("x", 0.25), score("y")])
    tables.append("watermark_scores", [score("x", 0.5)])
    tables.append("watermark_scores", [score("x", 0.75)])

    assert tables.drop_superseded("watermark_scores") == 2

    assert pq.read_table(tables.folder("watermark_scores")).to_pylist() == [score("y"), score("x", 0.75)]
    assert tables.drop_superseded("watermark_scores") == 0


def test_neighbouring_parts_are_merged_and_nothing_else_changes(tables):
    for number in range(5):
        tables.append("watermark_scores", [score(f"{number}"), score("again", number / 8)])
    before = tables.read("watermark_scores")

    assert tables.compact("watermark_scores") == 4

    assert len(tables.parts("watermark_scores")) == 1
    assert tables.read("watermark_scores").equals(before)
    tables.append("watermark_scores", [score("again", 0.75)])
    assert tables.read("watermark_scores").to_pylist()[-1] == score("again", 0.75)


def test_large_parts_are_left_alone(tables):
    tables.append("captions", [caption(f"large {number}") for number in range(200)])
    for number in range(3):
        tables.append("captions", [caption(f"small {number}")])
    large, *small = tables.parts("captions")
    assert tables.compact("captions", max_bytes=sum(part.stat().st_size for part in small)) == 2
    assert tables.parts("captions") == [large, small[-1]]


def test_a_refreshed_table_of_many_parts_is_compacted_by_itself(tables):
    for number in range(MAX_PARTS + 1):
        tables.append("watermark_scores", [score(f"{number}")])
    tables.tidy("watermark_scores")
    assert len(tables.parts("watermark_scores")) == 1
    assert tables.count("watermark_scores") == MAX_PARTS + 1


@pytest.mark.parametrize("operation", ["os.rename", "os.remove"])
def test_a_compaction_killed_between_two_steps_is_put_right_by_the_next(tables, operation):
    for number in range(4):
        tables.append("watermark_scores", [score(f"{number}", number / 8)])
    before = tables.read("watermark_scores").to_pylist()
    program = _KILLED_AT + "\nTableStore(sys.argv[1]).compact('watermark_scores')"
    killed = subprocess.run([sys.executable, "-c", program, tables.root.parent, operation], check=False)
    assert killed.returncode == -signal.SIGKILL

    tables.recover()
    assert sorted(map(str, tables.read("watermark_scores").to_pylist())) == sorted(map(str, before))
    tables.compact("watermark_scores")
    assert pq.read_table(tables.folder("watermark_scores")).to_pylist() == before
    assert len(list(tables.folder("watermark_scores").iterdir())) == 1


_KILLED_AT = """
import os, signal, sys
from bolid_pipeline.storage.tables import TableStore
def kill(event, args):
    if event == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
"""


def test_readers_see_every_row_while_parts_are_merged(tables):
    for number in range(8):
        tables.append("watermark_scores", [score(f"{number}")])
    everything = tables.read("watermark_scores").to_pylist()
    seen = []

    def read_after_a_merge(part):
        if not seen:
            seen.append(tables.compact("watermark_scores"))
        return pq.read_table(part)

    pieces = tables.read_parts("watermark_scores", read_after_a_merge)
    assert seen == [7]
    assert pa.concat_tables(pieces).to_pylist() == everything


def test_a_part_that_was_cut_short_is_set_aside_by_name(tables, caplog):
    tables.append("watermark_scores", [score("x")])
    tables.append("watermark_scores", [score("y")])
    cut, whole = tables.parts("watermark_scores")
    cut.write_bytes(cut.read_bytes()[:-20])
    (cut.parent / f".{whole.name}.0.tmp").write_bytes(b"half a part")

    (set_aside,) = tables.recover()

    assert cut.name in caplog.text
    assert tables.parts("watermark_scores") == [whole]
    assert tables.snapshot("watermark_scores").missing(["x", "y"]) == ["x"]
    assert pq.read_table(whole.parent).num_rows == 1  # nobody else looks at the file set aside
    assert sorted(whole.parent.iterdir()) == sorted([whole, set_aside])
    tables.delete_set_aside()
    assert list(whole.parent.iterdir()) == [whole]


def test_a_table_of_another_schema_version_is_refused_by_name(tables, monkeypatch):
    tables.append("watermark_scores", [score("x")])
    newer = replace(SCHEMAS["watermark_scores"], version=2)
    monkeypatch.setitem(SCHEMAS, "watermark_scores", newer)
    with pytest.raises(SchemaMismatch, match=r"part-.*'watermark_scores', schema version 1; .* version 2"):
        tables.read("watermark_scores")


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


_WRITER = """
import sys
from bolid_pipeline.storage.tables import TableStore
tables = TableStore(sys.argv[1])
for batch in range(10_000):
    tables.append("captions", [
        {"photo_id": f"{batch}-{row}", "caption": "word " * 200, "model_fingerprint": "a"} for row in range(500)
    ])
    print(batch, flush=True)
"""


def test_a_killed_writer_leaves_whole_batches_only(tmp_path):
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        for _ in range(3):
            writer.stdout.readline()
        time.sleep(0.013)
        writer.send_signal(signal.SIGKILL)
        num_committed = 3 + len(writer.stdout.readlines())

    num_rows = TableStore(tmp_path).count("captions")

    assert num_rows % 500 == 0
    assert num_rows // 500 in (num_committed, num_committed + 1)  # the last commit may not have been printed
