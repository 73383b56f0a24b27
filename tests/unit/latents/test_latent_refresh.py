"""What a refresh of the latents makes, makes again and leaves alone."""

import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from four_photos import CONFIG, World

from bolid_pipeline.errors import ForeignLatents, NotEnoughData, WeightsMissing
from bolid_pipeline.latents.buckets import Bucket
from bolid_pipeline.latents.cache import open_latents
from bolid_pipeline.latents.config import LatentModels
from bolid_pipeline.latents.layout import TABLE, make_layout
from bolid_pipeline.latents.recipe import LatentRecipe
from bolid_pipeline.storage import parts


def test_a_second_refresh_computes_nothing(world, models):
    world.refresh(models, batch_size=1, rows_per_commit=1)
    assert len(world.tables.parts(TABLE)) == 4
    before = open_latents(world.tables, models)
    reports = world.refresh(models)
    assert [(report.num_computed, report.num_up_to_date) for report in reports] == [(0, 4), (0, 4)]
    after = open_latents(world.tables, models)
    assert all((before.latent(row) == after.latent(row)).all() for row in range(4))


def test_a_refresh_with_nothing_new_opens_each_file_once_for_each_recipe(world, models, monkeypatch):
    world.refresh(models, batch_size=1, rows_per_commit=1)
    opened = []
    open_part = parts._open
    monkeypatch.setattr(parts, "_open", lambda part: opened.append(part) or open_part(part))
    world.refresh(models)
    assert opened == 2 * world.tables.parts(TABLE)


@pytest.mark.parametrize("change", [{"sigma_fraction": 0.2}, {"alpha": 0.5}], ids=["sigma", "alpha"])
def test_another_weighting_redoes_body_latents_only(world, models, change):
    world.refresh(models, batch_size=2, rows_per_commit=2)
    before = open_latents(world.tables, models)
    whole, body = world.refresh(models, replace(CONFIG, **change))

    assert (whole.num_computed, body.num_computed) == (0, 4)
    after = open_latents(world.tables, models)
    assert after.photo_ids == before.photo_ids
    for row in range(4):
        assert (before.latent(row) == after.latent(row)).all()
        assert (before.body_latent(row) != after.body_latent(row)).any()
    rows = np.arange(len(before))
    assert (before.image_embeds(rows) == after.image_embeds(rows)).all()
    assert (before.keypoints == after.keypoints).all()
    assert pq.read_table(world.tables.folder(TABLE)).num_rows == 4

    fresh = World(world.folder / "fresh")
    fresh.refresh(models, replace(CONFIG, **change))
    made_at_once = open_latents(fresh.tables, models)
    assert made_at_once.row_fingerprints == after.row_fingerprints
    for row in range(4):
        np.testing.assert_allclose(after.body_latent(row), made_at_once.body_latent(row), atol=2e-3)


def test_latents_of_another_model_are_refused_and_redone(world, models, other_models):
    with pytest.raises(NotEnoughData, match="materialise `latents`"):
        open_latents(world.tables, models)
    world.refresh(models)
    with pytest.raises(ForeignLatents, match="other_model"):
        open_latents(world.tables, other_models)
    assert world.refresh(other_models)[0].num_computed == 4
    assert len(open_latents(world.tables, other_models)) == 4


def test_another_resolution_makes_a_new_table(world, models):
    world.refresh(models)
    world.refresh(models, replace(CONFIG, resolution_px=96))
    latents = open_latents(world.tables, models)
    assert latents.layout.buckets[0] == Bucket(96, 96)
    assert len(latents) == 4


def test_photos_without_a_visible_keypoint_have_no_latents(world, models, caplog):
    poses = world.poses.to_pylist()
    poses[0]["keypoints"] = poses[0]["person_box"] = None
    poses[1]["keypoints"] = [[1.0, 1.0, 0.1]] * 17
    world.poses = pa.Table.from_pylist(poses[:3], world.poses.schema)
    assert world.refresh(models)[0].num_computed == 1
    assert open_latents(world.tables, models).photo_ids == ["c"]
    assert "3 of 4 photos have no visible keypoint" in caplog.text


def test_a_photo_gone_since_is_counted_not_invented(world, models):
    world.store.delete(world.photos["path"][0].as_py())
    report, _ = world.refresh(models)
    assert (report.num_computed, report.num_skipped) == (3, 1)


def relabel(world, **identities):
    """Give some photos another person, as a folder that was renamed does."""
    people = [
        identities.get(row["photo_id"], row["identity"])
        for row in world.photos.select(["photo_id", "identity"]).to_pylist()
    ]
    column = world.photos.schema.get_field_index("identity")
    world.photos = world.photos.set_column(column, "identity", pa.array(people, pa.string()))


def people_of(latents):
    return dict(zip(latents.photo_ids, latents.identities, strict=True))


def test_a_photo_whose_person_changes_keeps_its_latents_and_stands_under_the_new_one(world, models):
    world.refresh(models, batch_size=1, rows_per_commit=1)
    before = open_latents(world.tables, models)
    relabel(world, a="zoe", c="zoe")
    report, body = world.refresh(models, rows_per_commit=1)
    assert (report.num_computed, report.num_relabelled, report.num_rows) == (0, 2, 4)
    assert (body.num_computed, body.num_relabelled) == (0, 0)
    after = open_latents(world.tables, models)
    assert people_of(after) == people_of(before) | {"a": "zoe", "c": "zoe"}
    row_of = {photo_id: row for row, photo_id in enumerate(after.photo_ids)}
    for row, photo_id in enumerate(before.photo_ids):
        assert (before.latent(row) == after.latent(row_of[photo_id])).all()
        assert (before.body_latent(row) == after.body_latent(row_of[photo_id])).all()
    assert pq.read_table(world.tables.folder(TABLE)).num_rows == 4
    assert world.refresh(models)[0].num_relabelled == 0


def test_another_person_and_another_weighting_in_one_refresh(world, models):
    world.refresh(models)
    relabel(world, a="zoe")
    whole, body = world.refresh(models, replace(CONFIG, alpha=0.5))
    assert (whole.num_relabelled, whole.num_computed, body.num_computed) == (1, 0, 4)
    assert people_of(open_latents(world.tables, models))["a"] == "zoe"


def test_a_change_of_person_that_was_killed_halfway_is_finished_by_the_next(world, models, monkeypatch):
    world.refresh(models)
    relabel(world, a="zoe", b="zoe", c="zoe")
    append = world.tables.append
    with monkeypatch.context() as killed:
        killed.setattr(world.tables, "append", lambda *args: append(*args) and 1 / 0)
        with pytest.raises(ZeroDivisionError):
            world.refresh(models, rows_per_commit=1)
    report, _ = world.refresh(models)
    assert (report.num_relabelled, report.num_computed, report.num_rows) == (2, 0, 4)
    assert [people_of(open_latents(world.tables, models))[photo_id] for photo_id in "abc"] == ["zoe"] * 3


def test_missing_models_are_named(tmp_path):
    with pytest.raises(WeightsMissing, match="vae"):
        make_layout(LatentModels.of_base_model(tmp_path), CONFIG)


def test_whatever_changes_latents_changes_their_fingerprint(models, other_models):
    def fingerprints(config=CONFIG, *, models=models, poses_made_by="p"):
        poses = pa.table({"model_fingerprint": [poses_made_by]})
        recipe = LatentRecipe.from_poses(poses, models=models, config=config)
        return recipe.fingerprint, recipe.body.fingerprint

    plain, body = fingerprints()
    for name in ("sigma_fraction", "alpha"):
        weighted_else = fingerprints(replace(CONFIG, **{name: 0.3}))
        assert weighted_else[0] == plain
        assert weighted_else[1] != body
    others = [
        fingerprints(poses_made_by="q"),
        fingerprints(models=other_models),
        fingerprints(replace(CONFIG, resolution_px=96)),
        fingerprints(replace(CONFIG, min_keypoint_conf=0.3)),
        fingerprints(replace(CONFIG, max_aspect=1.5)),
        fingerprints(replace(CONFIG, bucket_multiple_px=32)),
    ]
    assert len({plain, *(of_rows for of_rows, _ in others)}) == 7
    assert len({body, *(of_bodies for _, of_bodies in others)}) == 7


def test_the_recipe_can_be_pickled_for_a_worker(models):
    poses = pa.table({"model_fingerprint": ["p"]})
    recipe = LatentRecipe.from_poses(poses, models=models, config=CONFIG)
    for each in (recipe, recipe.body):
        assert pickle.loads(pickle.dumps(each)).fingerprint == each.fingerprint  # noqa: S301 - our own bytes
