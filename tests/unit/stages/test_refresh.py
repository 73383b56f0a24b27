import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bolid_pipeline.stages.refresh import fingerprint, refresh_table, sync_table
from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.tables import TableStore


class Scorer:
    """Scores every photo 0.5 but those whose id says `skip`; raises at the id `boom`."""

    def __init__(self, mark):
        self.mark = mark
        self.seen = []

    def __call__(self, photos):
        ids = photos["photo_id"].to_pylist()
        self.seen.append(ids)
        if "boom" in ids:
            raise RuntimeError("out of memory")
        told = [photo_id for photo_id in ids if not photo_id.startswith("skip")]
        rows = {
            "photo_id": told,
            "watermark_prob": [0.5] * len(told),
            "model_fingerprint": [self.mark] * len(told),
        }
        return pa.table(rows, SCHEMAS["watermark_scores"].columns)


@pytest.fixture
def tables(tmp_path):
    return TableStore(tmp_path)


def refresh(tables, ids, mark="m1", **options):
    scorer = Scorer(mark)
    report = refresh_table(
        tables,
        "watermark_scores",
        pa.table({"photo_id": pa.array(ids, pa.string())}),
        lambda: scorer,
        fingerprint=mark,
        **options,
    )
    return report, scorer.seen


def test_a_second_refresh_computes_nothing_and_makes_no_stage(tables):
    report, _ = refresh(tables, ["a", "b", "c"])
    assert (report.num_rows, report.num_computed, report.num_up_to_date) == (3, 3, 0)
    assert report.rows_per_second > 0

    photos = pa.table({"photo_id": ["a", "b", "c"]})
    again = refresh_table(
        tables, "watermark_scores", photos, lambda: pytest.fail("stage made"), fingerprint="m1"
    )
    assert (again.num_rows, again.num_computed, again.num_up_to_date, again.rows_per_second) == (3, 0, 3, 0)


def test_only_new_photos_are_computed_and_gone_ones_pruned(tables):
    refresh(tables, ["a", "b", "c"])
    report, seen = refresh(tables, ["b", "d", "c"])
    assert seen == [["d"]]
    assert (report.num_computed, report.num_up_to_date, report.num_pruned, report.num_rows) == (1, 2, 1, 3)


def test_another_fingerprint_redoes_every_row_and_leaves_no_old_one(tables):
    refresh(tables, ["a", "b"])
    report, _ = refresh(tables, ["a", "b"], mark="m2")
    assert (report.num_computed, report.num_rows) == (2, 2)
    assert pq.read_table(tables.folder("watermark_scores"))["model_fingerprint"].to_pylist() == ["m2", "m2"]


def test_photos_without_a_row_are_counted(tables):
    report, _ = refresh(tables, ["a", "skip it"])
    assert (report.num_rows, report.num_computed, report.num_skipped) == (1, 1, 1)


def test_a_failure_keeps_what_was_committed_before(tables):
    ids = ["a", "b", "c", "d", "boom"]
    with pytest.raises(RuntimeError, match="out of memory"):
        refresh(tables, ids, batch_size=1, rows_per_commit=2)
    assert tables.read("watermark_scores")["photo_id"].to_pylist() == ["a", "b", "c", "d"]


def test_batches_hold_at_most_batch_size_photos(tables):
    _, seen = refresh(tables, list("abcde"), batch_size=2)
    assert seen == [["a", "b"], ["c", "d"], ["e"]]


def test_no_photos_at_all(tables):
    report, seen = refresh(tables, [])
    assert (report.num_rows, seen) == (0, [])


def test_sync_writes_only_what_differs(tables):
    def verdict(photo_id, reasons):
        return {"photo_id": photo_id, "identity": "ann", "is_kept": not reasons, "reasons": reasons}

    assert (
        sync_table(
            tables, "curated_photos", [verdict("a", []), verdict("b", []), verdict("c", [])]
        ).num_computed
        == 3
    )
    now = [verdict("a", []), verdict("b", ["too_small"]), verdict("d", [])]
    report = sync_table(tables, "curated_photos", now)
    assert (report.num_computed, report.num_up_to_date, report.num_pruned, report.num_rows) == (2, 1, 1, 3)
    assert tables.read("curated_photos").to_pylist() == now
    assert sync_table(tables, "curated_photos", now).num_computed == 0


def test_fingerprints_depend_on_names_and_values_not_on_order():
    assert fingerprint(a=1, b=[2]) == fingerprint(b=[2], a=1)
    assert len({fingerprint(a=1), fingerprint(a=2), fingerprint(b=1), fingerprint(a="1")}) == 4
    assert len(fingerprint(a=1)) == 16
