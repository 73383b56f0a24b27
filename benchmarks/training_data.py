"""How fast one process makes a training's batches at Stable Diffusion 1.5's sizes, from a stored table.

    uv run python benchmarks/training_data.py --rows 20000

Writes a latent table of that many rows (4 x 64 x 64 float16 twice, CLIP ViT-H embeddings, keypoints; 68 KB a row) into
a temporary folder, drops it from the page cache, and takes batches of the preset `sd15_24gb`: first from the disk, then
from memory. Captions have some 80 words. CPU time is that of all threads.
"""

import argparse
import hashlib
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from bodyworld.weights import weights_folder
from bolid_pipeline.latents.buckets import make_buckets
from bolid_pipeline.latents.cache import LatentTable, open_latents
from bolid_pipeline.latents.layout import TABLE, LatentLayout, to_binary
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.storage.tables import TableStore
from bolid_pipeline.training.data import TrainingData
from bolid_pipeline.training.datamodule import BoLIDDataModule
from bolid_pipeline.training.presets import sd15_24gb

PHOTOS_EACH = 600
ROWS_PER_PART = 2000
LAYOUT = LatentLayout(
    latent_shapes={
        bucket: (4, bucket.height // 8, bucket.width // 8) for bucket in make_buckets(512, 64, 2.0)
    },
    scaling_factor=0.18215,
    shift_factor=0.0,
    image_embed_dim=1024,
    models="benchmark",
)
CAPTION = (
    "a full-length photo of a tall slim woman with long dark hair, standing on one leg, arms at her sides, "
    "head turned to the left, smiling, wearing a white linen shirt, blue jeans with a wide leather belt, "
    "black high-heeled shoes, a silver necklace and a small handbag, in front of a brick wall, "
    "with a bicycle and a few trees in the background, in the evening light, number"
)


class OurModels:
    """Stands in for `LatentModels`: the benchmark's latents are of no model."""

    vae = "the benchmark"

    def fingerprint(self) -> str:
        """The fingerprint of all rows of the table."""
        return LAYOUT.models


def main() -> None:
    """Print samples per second, cold and warm."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--rows", type=int, default=20_000)
    arguments.add_argument("--batches", type=int, default=100)
    arguments.add_argument("--folder", type=Path, help="for the table; default: the temporary folder")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        latents = _stored_table(Path(folder), options.rows)
        data = _batches_of(latents)
        for name in ("from the disk", "from memory"):
            started, cpu_started = time.perf_counter(), time.process_time()
            for step in range(options.batches):
                data.batch(step)
            num_samples = options.batches * sd15_24gb().batch_size
            per_second = num_samples / (time.perf_counter() - started)
            cpu_us = 1e6 * (time.process_time() - cpu_started) / num_samples
            print(f"{name:15s} {per_second:6.0f} samples/s, {cpu_us:5.0f} us of CPU each")


def _stored_table(folder: Path, num_rows: int) -> LatentTable:
    """A table of random latents on the disk, none of it in the page cache."""
    tables = TableStore(folder)
    for start in range(0, num_rows, ROWS_PER_PART):
        tables.append(TABLE, _rows(start, min(ROWS_PER_PART, num_rows - start)))
    os.sync()
    for part in tables.parts(TABLE):
        with Path(str(part)).open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return open_latents(tables, OurModels())  # pyright: ignore[reportArgumentType]


def _rows(start: int, count: int) -> pa.Table:
    rng = np.random.default_rng(start)

    def draw(length: int) -> pa.Array:
        return to_binary(list(rng.standard_normal((count, length), np.float32)), length)

    buckets = [LAYOUT.buckets[number] for number in rng.integers(len(LAYOUT.buckets), size=count)]
    numbers = range(start, start + count)
    return pa.table(
        {
            "photo_id": [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers],
            "identity": [f"person-{number // PHOTOS_EACH:03d}" for number in numbers],
            "latent": draw(LAYOUT.latent_length),
            "body_latent": draw(LAYOUT.latent_length),
            "image_embed": draw(LAYOUT.image_embed_dim),
            "crop": pa.array([[0.0, 0.0, b.width, b.height] for b in buckets], pa.list_(pa.float32(), 4)),
            "keypoints": to_binary(list(rng.uniform(0.2, 1, (count, 17, 3))), 17 * 3),
            "model_fingerprint": ["benchmark"] * count,
            "body_fingerprint": ["benchmark"] * count,
        },
        LAYOUT.columns,
    )


def _batches_of(latents: LatentTable) -> BoLIDDataModule:
    base = load_base_model(weights_folder("base_model"))
    base.register_modules(image_encoder=None)
    base.vae.register_to_config(scaling_factor=LAYOUT.scaling_factor)
    captions = {photo_id: f"{CAPTION} {row}" for row, photo_id in enumerate(latents.photo_ids)}
    data = TrainingData(base_model=weights_folder("base_model"), latents=latents, captions=captions)
    return BoLIDDataModule(sd15_24gb(), data, base)


if __name__ == "__main__":
    main()
