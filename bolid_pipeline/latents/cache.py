"""The `latents` table: its layout on disk, and reading it without copies.

One Parquet dataset with one schema. The arrays of a row are non-null fixed-length binary, little-endian
float16; buckets have latents of different lengths, so `latent` and `body_latent` are as long as the longest
bucket's, and a shorter one is followed by zeros. Which bucket a row is of follows from the aspect of its
`crop`. Every part carries the same key-value metadata, JSON each:

    latent_shapes     {"64x64": [4, 16, 16], "80x48": [4, 20, 12], ...}: bucket in px (h x w) -> C, h, w
    scaling_factor    the VAE's; the latents in the table are unscaled posterior means
    shift_factor      the VAE's, or 0
    image_embed_shape [D]
    keypoints_shape   [17, 3]
    models            fingerprint of the VAE and the image encoder
"""

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bolid_pipeline.errors import ForeignLatents, NotEnoughData
from bolid_pipeline.latents.buckets import Bucket, make_buckets
from bolid_pipeline.latents.config import LatentConfig, LatentModels, read_model_config
from bolid_pipeline.pose.skeleton import NUM_KEYPOINTS
from bolid_pipeline.storage.schemas import TableSchema
from bolid_pipeline.storage.tables import TableStore

TABLE = "latents"
_KEYPOINTS_SHAPE = (NUM_KEYPOINTS, 3)
_HALF = np.dtype("<f2")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LatentLayout:
    """The shapes of a latent table and what its latents mean."""

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

    def schema(self) -> TableSchema:
        """The table's columns, with the layout as key-value metadata."""
        columns: list[tuple[str, pa.DataType]] = [
            ("photo_id", pa.string()),
            ("identity", pa.string()),
            ("latent", pa.binary(2 * self.latent_length)),
            ("body_latent", pa.binary(2 * self.latent_length)),
            ("image_embed", pa.binary(2 * self.image_embed_dim)),
            ("crop", pa.list_(pa.float32(), 4)),
            ("keypoints", pa.binary(2 * math.prod(_KEYPOINTS_SHAPE))),
            ("model_fingerprint", pa.string()),
        ]
        fields = [pa.field(name, type_, nullable=False) for name, type_ in columns]
        return TableSchema(key="photo_id", columns=pa.schema(fields, self._metadata()), is_mappable=True)

    def _metadata(self) -> dict[str, str]:
        content: dict[str, Any] = {
            "latent_shapes": {str(bucket): shape for bucket, shape in self.latent_shapes.items()},
            "scaling_factor": self.scaling_factor,
            "shift_factor": self.shift_factor,
            "image_embed_shape": [self.image_embed_dim],
            "keypoints_shape": _KEYPOINTS_SHAPE,
            "models": self.models,
        }
        return {name: json.dumps(value) for name, value in content.items()}


def make_layout(models: LatentModels, config: LatentConfig) -> LatentLayout:
    """The layout of latents made by `models`, from their configuration files alone. Raises WeightsMissing."""
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


def prepare_table(tables: TableStore, layout: LatentLayout) -> None:
    """Make the table known, and drop parts of another layout, which cannot stand beside new ones."""
    tables.register(TABLE, layout.schema())
    for part in tables.parts(TABLE):
        if _read_layout(part) != layout:
            _logger.warning("%s holds latents of another model or size: dropped, to be made again", part)
            part.unlink()


def open_latents(tables: TableStore, models: LatentModels) -> "LatentTable":
    """The latents that `models` made.

    Raises:
        NotEnoughData: there are none.
        ForeignLatents: there are some, but of other models, or of more than one layout.
    """
    parts = sorted((tables.root / TABLE).glob("part-*.parquet"))
    if not parts:
        raise NotEnoughData(f"no latents in {tables.root / TABLE}: materialise `latents` first")
    layout, *others = [_read_layout(part) for part in parts]
    if layout is None or layout.models != models.fingerprint() or any(other != layout for other in others):
        raise ForeignLatents(
            f"the latents in {tables.root / TABLE} were not made by {models.vae}: materialise `latents` again"
        )
    tables.register(TABLE, layout.schema())
    return LatentTable(tables.read(TABLE), layout)


class LatentTable:
    """Rows of `latents` as numpy arrays, N rows in the order of the table. Arrays are read-only views."""

    def __init__(self, rows: pa.Table, layout: LatentLayout) -> None:
        self.layout = layout
        self.photo_ids: list[str] = rows["photo_id"].to_pylist()
        self.identities: list[str] = rows["identity"].to_pylist()
        self.row_fingerprints: list[str] = rows["model_fingerprint"].to_pylist()
        self.image_embeds = _halves(rows["image_embed"], (layout.image_embed_dim,))
        """(N, D) float16."""
        self.keypoints = _halves(rows["keypoints"], _KEYPOINTS_SHAPE)
        """(N, 17, 3) float16: x, y in [0, 1] of the crop, confidence (0 for a keypoint outside of it)."""
        self.crops = np.asarray(rows["crop"].combine_chunks().flatten()).reshape(-1, 4)
        """(N, 4) float32: x, y, width, height in px of the photo."""
        self._latents = _halves(rows["latent"], (layout.latent_length,))
        self._body_latents = _halves(rows["body_latent"], (layout.latent_length,))
        aspects = np.array([math.log(bucket.aspect) for bucket in layout.buckets])
        self._bucket_N = np.abs(np.log(self.crops[:, 3:] / self.crops[:, 2:3]) - aspects).argmin(axis=1)

    def __len__(self) -> int:
        return len(self.photo_ids)

    def bucket(self, row: int) -> Bucket:
        """The bucket of a row."""
        return self.layout.buckets[self._bucket_N[row]]

    def rows_of(self, bucket: Bucket) -> NDArray[np.intp]:
        """The numbers of all rows of a bucket, rising."""
        return np.flatnonzero(self._bucket_N == self.layout.buckets.index(bucket))

    def latent(self, row: int) -> NDArray[np.float16]:
        """(C, h, w) float16: the unscaled posterior mean of the crop."""
        return self._shaped(self._latents, row)

    def body_latent(self, row: int) -> NDArray[np.float16]:
        """(C, h, w) float16: the same of the crop weighted by its keypoints."""
        return self._shaped(self._body_latents, row)

    def _shaped(self, latents: NDArray[np.float16], row: int) -> NDArray[np.float16]:
        shape = self.layout.latent_shapes[self.bucket(row)]
        return latents[row, : math.prod(shape)].reshape(shape)


def to_binary(arrays: list[NDArray[np.floating]], length: int) -> pa.Array:
    """Arrays as fixed-length binary of `length` float16 numbers each, shorter ones followed by zeros."""
    rows = np.zeros((len(arrays), length), _HALF)
    for row, array in zip(rows, arrays, strict=True):
        row[: array.size] = array.ravel()
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(2 * length), len(arrays), [None, pa.py_buffer(rows.tobytes())]
    )


def _halves(column: pa.ChunkedArray, shape: tuple[int, ...]) -> NDArray[np.float16]:
    """A binary column as (N, *shape) float16, without a copy if it is one chunk."""
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    length = math.prod(shape)
    halves = np.frombuffer(
        array.buffers()[1], _HALF, count=len(array) * length, offset=array.offset * length * 2
    )
    halves.flags.writeable = False
    return halves.reshape(-1, *shape)


def _read_layout(part: Path) -> LatentLayout | None:
    """The layout in a part's metadata; None if the file is no part of a latent table."""
    try:
        metadata = {k.decode(): v for k, v in (pq.read_metadata(part).metadata or {}).items()}
        content = {name: json.loads(value) for name, value in metadata.items() if name != "ARROW:schema"}
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
    except (pa.ArrowInvalid, OSError, KeyError, ValueError):
        return None
