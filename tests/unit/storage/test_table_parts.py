"""The files of a table: merged, damaged, or left behind by a process that was killed."""

import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_rows import caption, score

from bolid_pipeline.errors import DamagedTable
from bolid_pipeline.storage.tables import MAX_PARTS, TableStore


def test_a_truncated_part_is_named(tables):
    tables.append("watermark_scores", [score("x")])
    (part,) = tables.parts("watermark_scores")
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(DamagedTable, match=part.name):
        tables.read("watermark_scores")


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
