import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from diffusers import AutoencoderKL
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from bolid_pipeline.errors import DamagedTable, ForeignLatents, NotEnoughData, WeightsMissing
from bolid_pipeline.images.decoding import encode_jpeg, resize_to
from bolid_pipeline.latents.autoencoder import ImageEncoder, LatentEncoder
from bolid_pipeline.latents.buckets import Bucket
from bolid_pipeline.latents.cache import open_latents, verify_latents
from bolid_pipeline.latents.config import LatentConfig, LatentModels
from bolid_pipeline.latents.layout import TABLE, make_layout
from bolid_pipeline.latents.preparation import prepare_photo
from bolid_pipeline.latents.recipe import LatentRecipe
from bolid_pipeline.latents.selection import photos_with_pose
from bolid_pipeline.stages.batches import compute_here
from bolid_pipeline.stages.refresh import refresh_table
from bolid_pipeline.storage import parts
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.tables import TableStore

CONFIG = LatentConfig(resolution_px=64, bucket_multiple_px=16)
SIZES = {"a": (100, 160), "b": (160, 100), "c": (120, 120), "d": (101, 157)}  # photo -> width, height


def save_models(folder, seed):
    torch.manual_seed(seed)
    vae = AutoencoderKL(
        block_out_channels=(4, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=2,
        layers_per_block=1,
        scaling_factor=0.25,
    )
    vae.save_pretrained(folder / "vae")
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
        projection_dim=24,
    )
    CLIPVisionModelWithProjection(vision).save_pretrained(folder / "image_encoder")
    CLIPImageProcessor(size={"height": 32, "width": 32}, do_center_crop=False).save_pretrained(
        folder / "feature_extractor"
    )
    return LatentModels.of_base_model(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("base_model"), 0)


@pytest.fixture(scope="module")
def other_models(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("other_model"), 1)


class World:
    """Four photos of two people with poses, in a data folder of their own."""

    def __init__(self, folder):
        rng = np.random.default_rng(0)
        self.folder = folder
        self.tables, self.store = TableStore(folder), PhotoStore(folder)
        self.images = {
            name: resize_to(rng.integers(0, 256, (8, 8, 3), np.uint8), h, w) for name, (w, h) in SIZES.items()
        }
        blank = dict.fromkeys(SCHEMAS["raw_photos"].columns.names)
        photos = [
            blank
            | {
                "photo_id": name,
                "identity": "bob" if name == "a" else "ann",
                "width_px": w,
                "height_px": h,
                "path": self.store.add(encode_jpeg(self.images[name], 100), "jpg")[1],
            }
            for name, (w, h) in SIZES.items()
        ]
        poses = [
            {
                "photo_id": name,
                "person_box": [10.0, 10.0, 90.0, 90.0],
                "model_fingerprint": "p",
                "keypoints": [[20.0 + 3 * k, 30.0 + 2 * k, 0.25 if k % 2 else 0.75] for k in range(17)],
            }
            for name in SIZES
        ]
        self.photos = pa.Table.from_pylist(photos, SCHEMAS["raw_photos"].columns)
        self.poses = pa.Table.from_pylist(poses, SCHEMAS["poses"].columns)

    def refresh(self, models, config=CONFIG, *, batch_size=16, rows_per_commit=64):
        """The reports about whole rows and about body latents alone."""
        photos = photos_with_pose(self.photos, self.poses, config.min_keypoint_conf)
        recipe = LatentRecipe.from_poses(self.poses, models=models, config=config)
        return [
            refresh_table(
                self.tables,
                each,
                photos,
                partial(compute_here, each, self.store, batch_size=batch_size, device="cpu"),
                rows_per_commit=rows_per_commit,
            )
            for each in (recipe, recipe.body)
        ]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_rows_are_what_the_networks_say(world, models):
    report, _ = world.refresh(models)
    latents = open_latents(world.tables, models)

    assert (report.num_computed, len(latents)) == (4, 4)
    assert latents.photo_ids == ["b", "c", "d", "a"]  # a person's views lie together
    assert latents.identities == ["ann", "ann", "ann", "bob"]
    encode, embed = LatentEncoder(models.vae), ImageEncoder(models.image_encoder, models.feature_extractor)
    facts = {row["photo_id"]: row for row in photos_with_pose(world.photos, world.poses, 0.5).to_pylist()}
    for row, name in enumerate(latents.photo_ids):
        prepared = prepare_photo(world.images[name], facts[name], latents.layout.buckets, CONFIG)
        assert latents.bucket(row) == prepared.bucket
        plain, body = encode([prepared.plain, prepared.weighted])
        assert plain.shape == (4, prepared.bucket.height // 4, prepared.bucket.width // 4)
        np.testing.assert_allclose(latents.latent(row), plain, atol=0.1)  # JPEG lies in between
        np.testing.assert_allclose(latents.body_latent(row), body, atol=0.1)
        np.testing.assert_allclose(latents.image_embeds[row], embed([prepared.plain])[0], atol=0.1)
        np.testing.assert_allclose(latents.crops[row], prepared.crop_xywh)
        np.testing.assert_allclose(latents.keypoints[row], prepared.keypoints, atol=1e-3)
        assert np.abs(latents.latent(row) - latents.body_latent(row)).max() > 0.01


def test_every_bucket_finds_its_rows(world, models):
    world.refresh(models)
    latents = open_latents(world.tables, models)
    found = {
        str(bucket): [latents.photo_ids[row] for row in latents.rows_of(bucket)]
        for bucket in latents.layout.buckets
    }
    assert found == {"64x64": ["c"], "80x48": ["d", "a"], "48x80": ["b"]}


def test_the_file_has_the_contracts_layout(world, models):
    world.refresh(models)
    (part,) = world.tables.parts(TABLE)
    rows, file = pq.read_table(part), pq.ParquetFile(part)

    assert rows.column_names == [
        "photo_id",
        "identity",
        "latent",
        "body_latent",
        "image_embed",
        "crop",
        "keypoints",
        "model_fingerprint",
        "body_fingerprint",
    ]
    for name, length in {
        "latent": 4 * 16 * 16,
        "body_latent": 4 * 16 * 16,
        "image_embed": 24,
        "keypoints": 51,
    }.items():
        assert rows.schema.field(name) == pa.field(name, pa.binary(2 * length), nullable=False)
        column = file.metadata.row_group(0).column(rows.column_names.index(name))
        assert column.compression == "UNCOMPRESSED"
        assert not column.has_dictionary_page
        # One plain page: the values stand in the file as they are.
        assert b"".join(rows[name].to_pylist()) in part.read_bytes()
    metadata = rows.schema.metadata
    assert metadata[b"latent_shapes"] == b'{"64x64": [4, 16, 16], "80x48": [4, 20, 12], "48x80": [4, 12, 20]}'
    assert (metadata[b"scaling_factor"], metadata[b"image_embed_shape"]) == (b"0.25", b"[24]")
    assert pq.read_table(world.tables.folder(TABLE)).num_rows == 4


def test_arrays_are_views_of_the_file(world, models):
    world.refresh(models)
    latents = open_latents(world.tables, models)
    assert np.shares_memory(latents.latent(0), latents.latent(0))
    assert not latents.latent(0).flags.owndata
    assert not latents.latent(0).flags.writeable


def test_a_flipped_bit_is_found(world, models):
    world.refresh(models)
    (part,) = world.tables.parts(TABLE)
    data = bytearray(part.read_bytes())
    latent = pq.read_table(part)["latent"][2].as_py()
    data[data.index(latent) + 100] ^= 1
    part.write_bytes(data)
    open_latents(world.tables, models)  # a map does not look at every page
    with pytest.raises(DamagedTable, match=part.name):
        verify_latents(world.tables)


def test_a_number_that_is_none_is_found(world, models):
    world.refresh(models)
    assert verify_latents(world.tables) == []
    rows = world.tables.read(TABLE).to_pylist()
    rows[1]["latent"] = np.full(4 * 16 * 16, np.nan, "<f2").tobytes()
    world.tables.append(TABLE, rows[1:2])
    assert verify_latents(world.tables) == [rows[1]["photo_id"]]


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
    assert (before.image_embeds == after.image_embeds).all()
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
