"""Training's batches from latents on object storage: a real S3 server on loopback, a few row groups in memory."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from random_latents import random_rows
from tiny_models import save_tiny_stable_diffusion
from tiny_training import make_training, random_data

from bolid_pipeline.errors import DamagedTable
from bolid_pipeline.latents.cache import open_latents
from bolid_pipeline.latents.layout import TABLE
from bolid_pipeline.storage import parts
from bolid_pipeline.storage.tables import TableStore
from bolid_pipeline.training.presets import tiny

NUM_PEOPLE, PHOTOS_EACH = 8, 6
GROUP_ROWS = 12
CONFIG = replace(tiny(), steps=40, heldout_fraction=0.0)


MODELS: Any = SimpleNamespace(vae="random", fingerprint=lambda: "random")


@pytest.fixture(scope="module")
def base_model(tmp_path_factory):
    return save_tiny_stable_diffusion(tmp_path_factory.mktemp("tiny") / "stable_diffusion")


@pytest.fixture
def written(monkeypatch):
    """Writes the same latents anywhere, in two parts of two row groups."""
    rows, _ = random_rows(NUM_PEOPLE, PHOTOS_EACH)
    monkeypatch.setattr(parts, "_ROW_GROUP_BYTES", GROUP_ROWS * rows.nbytes // rows.num_rows)

    def write(place):
        tables = TableStore(place)
        for start in range(0, rows.num_rows, 2 * GROUP_ROWS):
            tables.append(TABLE, rows.slice(start, 2 * GROUP_ROWS))
        return tables

    return write


def group_bytes(latents):
    return 2 * 2 * latents.layout.latent_length * GROUP_ROWS


def open_with_groups(tables, num_groups):
    """The table, with memory for this many row groups."""
    whole = open_latents(tables, MODELS)
    return open_latents(tables, MODELS, buffer_bytes=num_groups * group_bytes(whole))


def test_every_array_equals_the_mapped_one(s3_bucket, written, tmp_path):
    mapped, stored = open_latents(written(tmp_path), MODELS), open_with_groups(written(s3_bucket), 2)
    assert (mapped.group_N, stored.num_groups_kept) == (None, 2)
    assert len(set(stored.group_N or [])) == 4
    assert stored.photo_ids == mapped.photo_ids
    for row in np.random.default_rng(0).permutation(len(mapped)).tolist():
        assert np.array_equal(stored.latent(row), mapped.latent(row))
        assert np.array_equal(stored.body_latent(row), mapped.body_latent(row))
    assert np.array_equal(stored.keypoints, mapped.keypoints)
    rows = np.array([[3, 0], [len(mapped) - 1, 3]])
    assert np.array_equal(stored.image_embeds(rows), mapped.image_embeds(rows))


def test_batches_are_those_of_the_mapped_table_if_all_of_it_fits(s3_bucket, written, tmp_path, base_model):
    mapped, stored = (
        make_training(random_data(base_model, latents), CONFIG)[1]
        for latents in (open_latents(written(tmp_path), MODELS), open_with_groups(written(s3_bucket), 4))
    )
    for of_mapped, of_stored in zip(mapped.train_dataloader(), stored.train_dataloader(), strict=True):
        for name, value in of_mapped.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(of_stored[name])), name


def test_an_epoch_reads_each_row_group_about_once(s3_bucket, written, base_model, monkeypatch):
    latents = open_with_groups(written(s3_bucket), 2)
    reads: list[tuple[str, int]] = []
    read_row_group = parts.read_row_group

    def counted(part, group, *columns):
        reads.append((part.name, group))
        return read_row_group(part, group, *columns)

    monkeypatch.setattr("bolid_pipeline.latents.columns.read_row_group", counted)
    config = replace(CONFIG, steps=4 * 3 * 5)  # five epochs: 4 groups of 12 rows, 4 rows a step
    _, data = make_training(random_data(base_model, latents), config)
    reads.clear()
    targets = [batch["latents_BCHW"] for batch in data.train_dataloader()]
    assert len(targets) == 60
    assert set(reads) == {(part, group) for part in {name for name, _ in reads} for group in (0, 1)}
    assert len(reads) <= 5 * 4 + 2


def test_batches_go_on_where_they_were(s3_bucket, written, base_model):
    latents = open_with_groups(written(s3_bucket), 1)

    def batches():
        return make_training(random_data(base_model, latents), CONFIG)[1].train_dataloader()

    first = batches()
    taken = iter(first)
    for _ in range(17):
        next(taken)
    resumed = batches()
    resumed.load_state_dict(first.state_dict())
    for expected, found in zip(taken, resumed, strict=True):
        assert expected["step"] == found["step"]
        assert torch.equal(expected["latents_BCHW"], found["latents_BCHW"])
        assert torch.equal(expected["views_BNCGG"], found["views_BNCGG"])


def test_a_flipped_bit_is_found_when_its_row_group_is_read(s3_bucket, written):
    tables = written(s3_bucket)
    latents = open_with_groups(tables, 1)
    part = tables.parts(TABLE)[0]
    data = bytearray(part.read_bytes())
    place = data.index(latents.latent(0).tobytes())
    data[place + 10] ^= 1
    part.write_bytes(bytes(data))
    with pytest.raises(DamagedTable, match=part.name):
        open_with_groups(tables, 1).latent(0)
