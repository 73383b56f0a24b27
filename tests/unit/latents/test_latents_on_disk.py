"""The size of the latents on disk, and where a person's views lie in the file."""

from itertools import groupby
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bolid_pipeline.latents.buckets import Bucket
from bolid_pipeline.latents.cache import open_latents
from bolid_pipeline.latents.layout import TABLE, LatentLayout, to_binary
from bolid_pipeline.storage.tables import TableStore

MODELS: Any = SimpleNamespace(vae="random", fingerprint=lambda: "random")
LAYOUT = LatentLayout(
    latent_shapes={Bucket(512, 512): (4, 64, 64)},
    scaling_factor=1.0,
    shift_factor=0.0,
    image_embed_dim=1024,
    models="random",
)
RAW_BYTES = 2 * (2 * LAYOUT.latent_length + 1024 + 17 * 3) + 4 * 4
"""Two latents, embedding and keypoints in half precision, the crop in single."""


def rows_of(people):
    """A row for each person named, with a photo id that says nothing about the person."""
    count, rng = len(people), np.random.default_rng(len(people))
    columns = {
        "photo_id": [rng.bytes(32).hex() for _ in people],
        "identity": people,
        "latent": to_binary(list(rng.standard_normal((count, 4, 64, 64))), LAYOUT.latent_length),
        "body_latent": to_binary(list(rng.standard_normal((count, 4, 64, 64))), LAYOUT.latent_length),
        "image_embed": to_binary(list(rng.standard_normal((count, 1024))), 1024),
        "crop": pa.array([[0.0, 0.0, 512.0, 512.0]] * count, pa.list_(pa.float32(), 4)),
        "keypoints": to_binary(list(rng.uniform(size=(count, 17, 3))), 17 * 3),
        "model_fingerprint": ["0123456789abcdef"] * count,
        "body_fingerprint": ["0123456789abcdef"] * count,
    }
    return pa.table(columns, LAYOUT.columns)


@pytest.fixture
def tables(tmp_path):
    return TableStore(tmp_path)


def test_a_row_takes_hardly_more_than_its_arrays(tables):
    for start in range(0, 192, 64):
        tables.append(TABLE, rows_of([f"person-{row // 20}" for row in range(start, start + 64)]))
    assert sum(part.stat().st_size for part in tables.parts(TABLE)) / 192 < 1.02 * RAW_BYTES
    tables.compact(TABLE)
    (part,) = tables.parts(TABLE)
    assert part.stat().st_size / 192 < 1.02 * RAW_BYTES


def test_the_views_of_a_person_are_adjacent_in_a_compacted_file(tables):
    for people in (["ann", "bob", "ann", "cleo"], ["bob", "ann"], ["cleo", "ann", "bob"]):
        tables.append(TABLE, rows_of(people))
    tables.compact(TABLE)
    (part,) = tables.parts(TABLE)
    assert [person for person, _ in groupby(pq.read_table(part)["identity"].to_pylist())] == [
        "ann",
        "bob",
        "cleo",
    ]
    opened = open_latents(tables, MODELS)
    first, last = (opened.body_latent(row) for row in (0, 3))
    assert last.ctypes.data - first.ctypes.data == 3 * first.nbytes


def test_a_row_group_of_large_rows_is_small_enough_to_be_read_alone(tables, monkeypatch):
    monkeypatch.setattr("bolid_pipeline.storage.parts._ROW_GROUP_BYTES", 10 * RAW_BYTES)
    tables.append(TABLE, rows_of(["ann"] * 25))
    (part,) = tables.parts(TABLE)
    file = pq.ParquetFile(part)
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert (sum(sizes), max(sizes)) == (25, pytest.approx(10, abs=1))
