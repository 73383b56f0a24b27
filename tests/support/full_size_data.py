"""The data of a training at full size, 500 people x 600 photos, whose latents take no room on the disk.

The latents and the image embeddings are holes of a sparse file, mapped as a stored table is mapped: they read as zeros.
Photo ids, people, crops, keypoints, captions and groups of near duplicates are there as in a real data set.
"""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from bolid_pipeline.latents.buckets import make_buckets
from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.latents.layout import LatentLayout
from bolid_pipeline.training.data import TrainingData

LAYOUT = LatentLayout(
    latent_shapes={
        bucket: (4, bucket.height // 8, bucket.width // 8) for bucket in make_buckets(512, 64, 2.0)
    },
    scaling_factor=0.18215,
    shift_factor=0.0,
    image_embed_dim=1024,
    models="full size",
)
"""Stable Diffusion 1.5 at 512 px, and CLIP ViT-H."""

_WORDS = (
    "a full-length photo of a tall slim woman with long dark hair, standing on one leg, arms at her sides, "
    "head turned to the left, smiling, wearing a white linen shirt, blue jeans with a wide leather belt, "
    "black high-heeled shoes, a silver necklace and a small handbag, in front of a brick wall, "
    "with a bicycle and a few trees in the background, in the evening light, number"
)


def full_size_data(
    base_model: Path, folder: Path, num_people: int = 500, photos_each: int = 600
) -> TrainingData:
    """Latents, captions and clusters of that many people; the sparse file lies in `folder`."""
    photo_ids = [
        hashlib.sha256(str(number).encode()).hexdigest() for number in range(num_people * photos_each)
    ]
    return TrainingData(
        base_model=base_model,
        latents=_latents(photo_ids, folder / "latents", photos_each),
        captions={photo_id: f"{_WORDS} {number}" for number, photo_id in enumerate(photo_ids)},
        clusters=dict(zip(photo_ids[:60_000:3], photo_ids[1:60_000:3], strict=True)),
    )


def _latents(photo_ids: list[str], file: Path, photos_each: int) -> LatentTable:
    count, rng, columns = len(photo_ids), np.random.default_rng(0), LAYOUT.columns
    widest = max(columns.field(name).type.byte_width for name in ("latent", "image_embed"))
    with file.open("wb") as sparse:
        sparse.truncate(count * widest)
    with pa.memory_map(str(file)) as mapped:
        zeros = mapped.read_buffer(count * widest)
    buckets = [LAYOUT.buckets[number] for number in rng.integers(len(LAYOUT.buckets), size=count)]
    crops = np.array([[0, 0, bucket.width, bucket.height] for bucket in buckets], np.float32)
    keypoints = rng.uniform(0.2, 1, (count, 17 * 3)).astype("<f2")

    def binary(name: str, buffer: pa.Buffer) -> pa.Array:
        return pa.FixedSizeBinaryArray.from_buffers(columns.field(name).type, count, [None, buffer])

    rows = pa.table(
        {
            "photo_id": photo_ids,
            "identity": [f"person-{number // photos_each:03d}" for number in range(count)],
            "latent": binary("latent", zeros),
            "body_latent": binary("body_latent", zeros),
            "image_embed": binary("image_embed", zeros),
            "crop": pa.FixedSizeListArray.from_arrays(crops.ravel(), 4),
            "keypoints": binary("keypoints", pa.py_buffer(keypoints.tobytes())),
            "model_fingerprint": ["full size"] * count,
            "body_fingerprint": ["full size"] * count,
        },
        columns,
    )
    return LatentTable(rows, LAYOUT)
