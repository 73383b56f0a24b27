"""What the table of latents holds, how it lies in its files, and how damage to it is found."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from four_photos import CONFIG

from bolid_pipeline.errors import DamagedTable
from bolid_pipeline.latents.autoencoder import ImageEncoder, LatentEncoder
from bolid_pipeline.latents.cache import open_latents, verify_latents
from bolid_pipeline.latents.layout import TABLE
from bolid_pipeline.latents.preparation import prepare_photo
from bolid_pipeline.latents.selection import photos_with_pose


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
        np.testing.assert_allclose(latents.image_embeds(np.array(row)), embed([prepared.plain])[0], atol=0.1)
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
