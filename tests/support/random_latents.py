"""A table of random latents that fits the base model of `tiny_models`."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bolid_pipeline.latents.buckets import Bucket
from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.latents.config import LatentModels
from bolid_pipeline.latents.layout import TABLE, LatentLayout, to_binary
from bolid_pipeline.storage.tables import TableStore

BUCKETS = (Bucket(64, 64), Bucket(80, 48), Bucket(48, 80))


def random_latents(num_people: int = 3, photos_each: int = 6, **sizes: Any) -> LatentTable:
    """The table of `random_rows`, opened."""
    return LatentTable(*random_rows(num_people, photos_each, **sizes))


def random_rows(
    num_people: int = 3,
    photos_each: int = 6,
    *,
    image_embed_dim: int = 24,
    channels: int = 4,
    scaling_factor: float = 0.18215,
) -> tuple[pa.Table, LatentLayout]:
    """Rows of `latents`: each person has a mean colour that can be learned, and photos cycle through the buckets."""
    rng = np.random.default_rng(0)
    people = [f"person-{i}" for i in range(num_people) for _ in range(photos_each)]
    buckets = [BUCKETS[i % len(BUCKETS)] for i in range(len(people))]
    layout = LatentLayout(
        latent_shapes={bucket: (channels, bucket.height // 4, bucket.width // 4) for bucket in BUCKETS},
        scaling_factor=scaling_factor,
        shift_factor=0.0,
        image_embed_dim=image_embed_dim,
        models="random",
    )
    means = {person: 5 * rng.normal(size=(channels, 1, 1)) for person in dict.fromkeys(people)}
    latents: list[NDArray[np.floating]] = [
        means[person] + rng.normal(size=layout.latent_shapes[bucket])
        for person, bucket in zip(people, buckets, strict=True)
    ]
    rows = pa.table(
        {
            "photo_id": [hashlib.sha256(str(i).encode()).hexdigest() for i in range(len(people))],
            "identity": people,
            "latent": to_binary(latents, layout.latent_length),
            "body_latent": to_binary([0.5 * latent for latent in latents], layout.latent_length),
            "image_embed": to_binary(list(rng.normal(size=(len(people), image_embed_dim))), image_embed_dim),
            "crop": pa.array([[0.0, 0.0, b.width, b.height] for b in buckets], pa.list_(pa.float32(), 4)),
            "keypoints": to_binary(list(rng.uniform(0.2, 1, size=(len(people), 17, 3))), 17 * 3),
            "model_fingerprint": ["random"] * len(people),
            "body_fingerprint": ["random"] * len(people),
        },
        layout.columns,
    )
    return rows, layout


def store_random_latents(data_dir: Path, models: LatentModels) -> None:
    """Write the tables `latents` and `captions` of random latents that count as made by the embedded base model."""
    rows, layout = random_rows(image_embed_dim=128, scaling_factor=0.61571)
    tables = TableStore(data_dir)
    tables.append(TABLE, rows.cast(replace(layout, models=models.fingerprint()).columns))
    captions = captions_of(LatentTable(rows, layout))
    tables.append(
        "captions",
        [
            {"photo_id": photo_id, "caption": caption, "model_fingerprint": "random"}
            for photo_id, caption in captions.items()
        ],
    )


def captions_of(latents: LatentTable) -> dict[str, str]:
    """Four captions that repeat."""
    return {photo_id: f"photo {i % 4}" for i, photo_id in enumerate(latents.photo_ids)}
