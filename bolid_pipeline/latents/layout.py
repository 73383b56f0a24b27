"""The `latents` table on disk: its columns, shapes and metadata.

One Parquet dataset with one schema. The arrays of a row are non-null fixed-length binary, little-endian
float16. Latents of different buckets differ in length, so `latent` and `body_latent` are as long as the longest
bucket's, and a shorter one is followed by zeros. The bucket of a row follows from the aspect of its `crop`.
Two fingerprints say what made a row: `body_fingerprint` stands for the body latent, `model_fingerprint` for
everything else. Every part carries the same key-value metadata, JSON each:

    latent_shapes     {"64x64": [4, 16, 16], "80x48": [4, 20, 12], ...}: bucket in px (h x w) -> C, h, w
    scaling_factor    the VAE's; the latents in the table are unscaled posterior means
    shift_factor      the VAE's, or 0
    image_embed_shape [D]
    keypoints_shape   [17, 3]
    models            fingerprint of the VAE and the image encoder
"""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bolid_pipeline.latents.buckets import Bucket, make_buckets
from bolid_pipeline.latents.config import LatentConfig, LatentModels, read_model_config
from bolid_pipeline.pose.skeleton import NUM_KEYPOINTS
from bolid_pipeline.storage.schemas import SCHEMAS

TABLE = "latents"
LATENTS = ("latent", "body_latent")
"""The columns that hold nearly all bytes of a row."""
KEYPOINTS_SHAPE = (NUM_KEYPOINTS, 3)
HALF = np.dtype("<f2")
_METADATA = (
    "latent_shapes",
    "scaling_factor",
    "shift_factor",
    "image_embed_shape",
    "keypoints_shape",
    "models",
)


@dataclass(frozen=True, kw_only=True)
class LatentLayout:
    """The shapes of a latent table, and the scale of its latents."""

    latent_shapes: dict[Bucket, tuple[int, int, int]]
    scaling_factor: float
    shift_factor: float
    image_embed_dim: int
    models: str

    @property
    def latent_length(self) -> int:
        """Numbers per latent in the file, padding included."""
        return max(math.prod(shape) for shape in self.latent_shapes.values())

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """All buckets, the squarest first."""
        return tuple(self.latent_shapes)

    @property
    def columns(self) -> pa.Schema:
        """The table's columns, the arrays as wide as these models make them, with the layout as metadata."""
        lengths = {
            "latent": self.latent_length,
            "body_latent": self.latent_length,
            "image_embed": self.image_embed_dim,
            "keypoints": math.prod(KEYPOINTS_SHAPE),
        }
        fields = [
            field.with_type(pa.binary(HALF.itemsize * lengths[field.name]))
            if field.name in lengths
            else field
            for field in SCHEMAS[TABLE].columns
        ]
        return pa.schema(fields, self._metadata())

    def _metadata(self) -> dict[str, str]:
        content: dict[str, Any] = {
            "latent_shapes": {str(bucket): shape for bucket, shape in self.latent_shapes.items()},
            "scaling_factor": self.scaling_factor,
            "shift_factor": self.shift_factor,
            "image_embed_shape": [self.image_embed_dim],
            "keypoints_shape": KEYPOINTS_SHAPE,
            "models": self.models,
        }
        return {name: json.dumps(value) for name, value in content.items()}


def make_layout(models: LatentModels, config: LatentConfig) -> LatentLayout:
    """The layout of latents made by `models`, from their files without loading them. Raises WeightsMissing."""
    vae, image_encoder = read_model_config(models.vae), read_model_config(models.image_encoder)
    channels, factor = vae.get("latent_channels", 4), 2 ** (len(vae["block_out_channels"]) - 1)
    buckets = make_buckets(config.resolution_px, config.bucket_multiple_px, config.max_aspect)
    return LatentLayout(
        latent_shapes={
            bucket: (channels, bucket.height // factor, bucket.width // factor) for bucket in buckets
        },
        scaling_factor=vae.get("scaling_factor", 0.18215),
        shift_factor=vae.get("shift_factor") or 0.0,
        image_embed_dim=image_encoder.get("projection_dim", 512),
        models=models.fingerprint(),
    )


def layout_of(columns: pa.Schema) -> LatentLayout | None:
    """The layout in a file's metadata; None if the file does not hold latents."""
    try:
        stored = {name.decode(): value for name, value in (columns.metadata or {}).items()}
        content = {name: json.loads(stored[name]) for name in _METADATA}
        return LatentLayout(
            latent_shapes={
                Bucket(*map(int, name.split("x"))): tuple(shape)
                for name, shape in content["latent_shapes"].items()
            },
            scaling_factor=content["scaling_factor"],
            shift_factor=content["shift_factor"],
            image_embed_dim=content["image_embed_shape"][0],
            models=content["models"],
        )
    except (KeyError, ValueError):
        return None


def to_binary(arrays: list[NDArray[np.floating]], length: int) -> pa.Array:
    """Arrays as fixed-length binary of `length` float16 numbers each, shorter ones followed by zeros."""
    rows = np.zeros((len(arrays), length), HALF)
    for row, array in zip(rows, arrays, strict=True):
        row[: array.size] = array.ravel()
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(2 * length), len(arrays), [None, pa.py_buffer(rows.tobytes())]
    )
