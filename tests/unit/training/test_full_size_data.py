"""500 people x 600 photos: the first batch comes soon, and memory grows neither with the captions nor with the steps.

The table is one of `full_size_data`: as a real one, but for its latents, which are holes of a sparse file. Time is that
of the processor, which other work on the machine does not change; the budget of 10 s is for a machine of its own.
"""

import time
from pathlib import Path

import pytest
import torch
from full_size_data import LAYOUT, full_size_data

from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.training.data import TrainingData
from bolid_pipeline.training.datamodule import BoLIDDataModule
from bolid_pipeline.training.presets import sd15_24gb

NUM_PHOTOS = 300_000
BYTES_PER_PHOTO = 1000
"""Ids, keypoints, limbs and plan of a photo in memory; a caption that is kept encoded would take 118,000 or more."""


def _anonymous_mb() -> float:
    """Memory that this process holds beside mapped files, in MB."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("RssAnon"))


@pytest.fixture(scope="module")
def data(tiny_stable_diffusion, tmp_path_factory):
    return full_size_data(tiny_stable_diffusion, tmp_path_factory.mktemp("full_size"))


def _make(data: TrainingData) -> BoLIDDataModule:
    base = load_base_model(data.base_model)
    base.register_modules(image_encoder=None)  # the tiny one has embeddings of another length
    return BoLIDDataModule(sd15_24gb(), data, base)


def test_the_first_batch_is_soon_there_and_memory_stays_flat(data):
    assert len(data.latents) == len(data.captions) == NUM_PHOTOS
    megabytes, started = [_anonymous_mb()], time.process_time()
    batches = _make(data)
    first = batches.batch(0)
    seconds = time.process_time() - started
    assert seconds < 10
    for step in range(1, 13):
        batches.batch(step)
        megabytes.append(_anonymous_mb())
    assert megabytes[-1] - megabytes[0] < NUM_PHOTOS * BYTES_PER_PHOTO / 1e6
    assert megabytes[-1] - megabytes[3] < 10
    assert first["latents_BCHW"].shape[1:] in LAYOUT.latent_shapes.values()
    assert first["views_BNCGG"].dtype == torch.float16

    # A process that comes later, and each of several, makes the same batch.
    again = [_make(data).batch(12, rank, 2) for rank in range(2)]
    whole = batches.batch(12)
    for name in ("token_ids_BEWT", "keypoints_BK3", "refs_BND", "views_BNCGG"):
        assert torch.equal(torch.stack([share[name] for share in again], 1).flatten(0, 1), whole[name]), name


def test_the_fingerprint_is_made_row_by_row(data):
    before, started = _anonymous_mb(), time.process_time()
    assert len(data.content) == 16
    assert time.process_time() - started < 10
    assert _anonymous_mb() - before < 50
