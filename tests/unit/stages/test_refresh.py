from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from bolid_pipeline.stages.batches import compute_here
from bolid_pipeline.stages.recipe import PhotoStage, Recipe
from bolid_pipeline.stages.refresh import refresh_table, sync_table
from bolid_pipeline.storage import parts
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore


class Scorer(PhotoStage[str]):
    """Scores every photo 0.5 but those whose id says `skip`; raises at the id `boom`.

    Two photos at most fit beside one whose id says `big`.
    """

    def __init__(self, recipe):
        self.recipe = recipe

    def read(self, photo):
        return photo["photo_id"]

    def compute(self, photos, read):
        ids = read
        self.recipe.seen.append(ids)
        if "boom" in ids:
            raise RuntimeError("an illegal memory access was encountered")
        if len(ids) > 2 and any(photo_id.startswith("big") for photo_id in ids):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        assert ids == photos["photo_id"].to_pylist()
        told = [photo_id for photo_id in ids if not photo_id.startswith("skip")]
        return pa.table({"photo_id": told, "watermark_prob": [0.5] * len(told)}, self.recipe.made_columns)


@dataclass(frozen=True, kw_only=True)
class ScoreRecipe(Recipe):
    """Notes in `seen` which photos its stages were given."""

    table = "watermark_scores"
    code_version = "1"

    mark: str
    seen: list[list[str]]

    @property
    def ingredients(self):
        return {"mark": self.mark}

    def open(self, photos, device):  # noqa: ARG002 - it reads no photo and has no model
        return Scorer(self)


@pytest.fixture
def tables(tmp_path):
    return TableStore(tmp_path)


def refresh(tables, ids, mark="m1", batch_size=16, **options):
    """The report, and the batches that the stage was given."""
    recipe = ScoreRecipe(mark=mark, seen=[])
    compute = partial(
        compute_here, recipe, PhotoStore(tables.root.parent), batch_size=batch_size, device="cpu"
    )
    photos = pa.table({"photo_id": pa.array(ids, pa.string())})
    return refresh_table(tables, recipe, photos, compute, **options), recipe.seen


@pytest.fixture
def opened(monkeypatch):
    """The names of the parts that were opened since the list was cleared."""
    names = []
    open_part = parts._open

    def counted(part):
        names.append(part.name)
        return open_part(part)

    monkeypatch.setattr(parts, "_open", counted)
    return names


def test_a_second_refresh_computes_nothing_and_makes_no_stage(tables):
    report, _ = refresh(tables, ["a", "b", "c"])
    assert (report.num_rows, report.num_computed, report.num_up_to_date) == (3, 3, 0)
    assert report.rows_per_second > 0

    photos = pa.table({"photo_id": ["a", "b", "c"]})
    recipe = ScoreRecipe(mark="m1", seen=[])
    again = refresh_table(tables, recipe, photos, lambda _: pytest.fail("stage opened"))
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
    made_by = ScoreRecipe(mark="m2", seen=[]).fingerprint
    assert pq.read_table(tables.folder("watermark_scores"))["model_fingerprint"].to_pylist() == [made_by] * 2


def test_photos_without_a_row_are_counted(tables):
    report, _ = refresh(tables, ["a", "skip it"])
    assert (report.num_rows, report.num_computed, report.num_skipped) == (1, 1, 1)


def test_a_failure_keeps_what_was_committed_before(tables):
    ids = ["a", "b", "c", "d", "boom"]
    with pytest.raises(RuntimeError, match="illegal memory access"):
        refresh(tables, ids, batch_size=1, rows_per_commit=2)
    assert tables.read("watermark_scores")["photo_id"].to_pylist() == ["a", "b", "c", "d"]


def test_batches_hold_at_most_batch_size_photos(tables):
    _, seen = refresh(tables, list("abcde"), batch_size=2)
    assert seen == [["a", "b"], ["c", "d"], ["e"]]


def test_a_batch_that_does_not_fit_in_memory_is_computed_in_halves_and_the_run_goes_on(tables):
    ids = ["a", "b", "c", "d", "big e", "f", "g", "h", "i", "j", "k", "l"]
    report, seen = refresh(tables, ids, batch_size=8)
    assert [len(batch) for batch in seen] == [8, 4, 4, 2, 2, 2, 2]
    assert report.num_computed == len(ids)
    assert sorted(tables.read("watermark_scores")["photo_id"].to_pylist()) == sorted(ids)


def test_no_photos_at_all(tables):
    report, seen = refresh(tables, [])
    assert (report.num_rows, seen) == (0, [])


def test_a_refresh_with_nothing_new_opens_every_part_once(tables, opened):
    refresh(tables, list("abcdef"), batch_size=1, rows_per_commit=1)
    all_parts = [part.name for part in tables.parts("watermark_scores")]
    assert len(all_parts) == 6
    opened.clear()
    refresh(tables, list("abcdef"))
    assert opened == all_parts


def test_a_refresh_with_one_new_photo_opens_every_part_once(tables, opened):
    refresh(tables, list("abcdef"), batch_size=1, rows_per_commit=1)
    opened.clear()
    report, _ = refresh(tables, list("abcdefg"))
    assert (report.num_computed, report.num_rows, len(opened)) == (1, 7, 6)


def test_a_sync_with_nothing_new_opens_every_part_once(tables, opened):
    rows = [{"photo_id": photo_id, "identity": "ann", "is_kept": True, "reasons": []} for photo_id in "abc"]
    for row in rows:
        tables.append("curated_photos", [row])
    opened.clear()
    assert sync_table(tables, "curated_photos", rows).num_computed == 0
    assert len(opened) == 3


def test_a_row_that_cannot_be_made_anew_stays_as_it_was(tables):
    tables.append(
        "watermark_scores", [{"photo_id": "skip it", "watermark_prob": 1, "model_fingerprint": "old"}]
    )
    report, _ = refresh(tables, ["a", "skip it"])
    assert (report.num_rows, report.num_computed, report.num_skipped) == (2, 1, 1)
    assert sorted(tables.read("watermark_scores")["photo_id"].to_pylist()) == ["a", "skip it"]


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
