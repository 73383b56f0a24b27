"""Rendered people as the latent table that training reads, made as by the pipeline's stages but without its files."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from people import Picture

from bolid_pipeline.errors import ForeignLatents
from bolid_pipeline.latents.autoencoder import ImageEncoder, LatentEncoder
from bolid_pipeline.latents.buckets import Bucket
from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.latents.config import LatentConfig, LatentModels
from bolid_pipeline.latents.layout import layout_of, make_layout, to_binary
from bolid_pipeline.latents.preparation import PreparedPhoto, prepare_photo
from bolid_pipeline.pose.skeleton import NUM_KEYPOINTS


def prepare_data(path: Path, pictures: list[Picture], models: LatentModels) -> None:
    """Write the latents and captions of pictures into one Parquet file, unless it is there."""
    if path.exists():
        return
    rows = _latent_rows(pictures, models)
    captions = pa.array([picture.caption for picture in pictures])
    partial_path = path.with_name(f".{path.name}")
    pq.write_table(rows.append_column("caption", captions), partial_path)
    partial_path.replace(path)


def open_data(path: Path) -> tuple[LatentTable, dict[str, str]]:
    """The latent table, and the caption of each photo id."""
    rows = pq.read_table(path)
    layout = layout_of(rows.schema)
    if layout is None:
        raise ForeignLatents(f"{path} holds no latents; remove it")
    captions = dict(zip(rows["photo_id"].to_pylist(), rows["caption"].to_pylist(), strict=True))
    return LatentTable(rows.drop_columns(["caption"]), layout), captions


def photo_id(row: int) -> str:
    """The id of a picture by its number; of the length that the tables' ids have."""
    return f"{row:064x}"


def _latent_rows(pictures: list[Picture], models: LatentModels) -> pa.Table:
    """The latents of pictures, weighted by their true keypoints, in the order of the pictures."""
    config = LatentConfig()
    layout = make_layout(models, config)
    prepared = [
        prepare_photo(picture.pixels_HW3, _facts(picture), layout.buckets, config) for picture in pictures
    ]
    encode_images = ImageEncoder(models.image_encoder, models.feature_extractor)
    plain, weighted = _encode(prepared, LatentEncoder(models.vae))
    return pa.table(
        {
            "photo_id": [photo_id(row) for row in range(len(pictures))],
            "identity": [picture.person for picture in pictures],
            "latent": to_binary(plain, layout.latent_length),
            "body_latent": to_binary(weighted, layout.latent_length),
            "image_embed": to_binary(
                list(encode_images([each.plain for each in prepared])), layout.image_embed_dim
            ),
            "crop": pa.array([each.crop_xywh.tolist() for each in prepared], pa.list_(pa.float32(), 4)),
            "keypoints": to_binary([each.keypoints for each in prepared], 3 * NUM_KEYPOINTS),
            "model_fingerprint": ["body_identity"] * len(pictures),
            "body_fingerprint": ["body_identity"] * len(pictures),
        },
        layout.columns,
    )


def _facts(picture: Picture) -> dict[str, object]:
    height, width, _ = picture.pixels_HW3.shape
    return {"width_px": width, "height_px": height, "keypoints": picture.keypoints_K3, "person_box": None}


def _encode(
    prepared: list[PreparedPhoto], encode: LatentEncoder
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Plain and weighted latents, in order; the pictures of a bucket go through the VAE in batches."""
    rows_of: dict[Bucket, list[int]] = defaultdict(list)
    for row, each in enumerate(prepared):
        rows_of[each.bucket].append(row)
    plain: dict[int, np.ndarray] = {}
    weighted: dict[int, np.ndarray] = {}
    for rows in rows_of.values():
        for start in range(0, len(rows), 32):
            part = rows[start : start + 32]
            plain |= zip(part, encode([prepared[row].plain for row in part]), strict=True)
            weighted |= zip(part, encode([prepared[row].weighted for row in part]), strict=True)
    return [plain[row] for row in range(len(prepared))], [weighted[row] for row in range(len(prepared))]
