"""The stage that turns every photo with a pose into latents."""

from collections import defaultdict

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bolid_pipeline.images import decode_many
from bolid_pipeline.latents.autoencoder import ImageEncoder, LatentEncoder
from bolid_pipeline.latents.buckets import Bucket
from bolid_pipeline.latents.cache import LatentLayout, to_binary
from bolid_pipeline.latents.config import LatentConfig, LatentModels
from bolid_pipeline.latents.preparation import PreparedPhoto, prepare_photo
from bolid_pipeline.pose.skeleton import NUM_KEYPOINTS
from bolid_pipeline.storage.photos import PhotoStore

_MIN_OVERSAMPLING = 2  # a photo is decoded at no less than twice the bucket's resolution


class LatentStage:
    """Rows of `latents` for the rows that `photos_with_pose` makes.

    A photo that cannot be read any more has no row, and a line in the log.
    """

    def __init__(
        self,
        photos: PhotoStore,
        models: LatentModels,
        layout: LatentLayout,
        config: LatentConfig,
        *,
        fingerprint: str,
        device: str = "cpu",
    ) -> None:
        self._photos = photos
        self._vae = LatentEncoder(models.vae, device)
        self._image_encoder = ImageEncoder(models.image_encoder, models.feature_extractor, device)
        self._layout = layout
        self._config = config
        self._fingerprint = fingerprint

    def __call__(self, photos: pa.Table) -> pa.Table:
        """See the class."""
        longest = _MIN_OVERSAMPLING * max(max(bucket.height, bucket.width) for bucket in self._layout.buckets)
        images = decode_many(self._photos.read, photos["path"].to_pylist(), min_side_px=longest)
        rows = [row for row, image in enumerate(images) if image is not None]
        facts = photos.select(["width_px", "height_px", "keypoints", "person_box"]).to_pylist()
        prepared = [
            prepare_photo(image, facts[row], self._layout.buckets, self._config)
            for row, image in enumerate(images)
            if image is not None
        ]
        plain, weighted = self._encode(prepared)
        embeds = self._image_encoder([each.plain for each in prepared]) if prepared else ()
        return pa.table(
            {
                "photo_id": photos["photo_id"].take(rows),
                "identity": photos["identity"].take(rows),
                "latent": to_binary(plain, self._layout.latent_length),
                "body_latent": to_binary(weighted, self._layout.latent_length),
                "image_embed": to_binary(list(embeds), self._layout.image_embed_dim),
                "crop": pa.array([each.crop_xywh.tolist() for each in prepared], pa.list_(pa.float32(), 4)),
                "keypoints": to_binary([each.keypoints for each in prepared], 3 * NUM_KEYPOINTS),
                "model_fingerprint": [self._fingerprint] * len(rows),
            },
            self._layout.schema().columns,
        )

    def _encode(
        self, prepared: list[PreparedPhoto]
    ) -> tuple[list[NDArray[np.float16]], list[NDArray[np.float16]]]:
        """Plain and weighted latents, in order; the VAE sees all of a bucket's pictures in one batch."""
        rows_of: dict[Bucket, list[int]] = defaultdict(list)
        for row, each in enumerate(prepared):
            rows_of[each.bucket].append(row)
        plain: dict[int, NDArray[np.float16]] = {}
        weighted: dict[int, NDArray[np.float16]] = {}
        for rows in rows_of.values():
            pictures = [prepared[row].plain for row in rows] + [prepared[row].weighted for row in rows]
            latents = self._vae(pictures)
            plain.update(zip(rows, latents[: len(rows)], strict=True))
            weighted.update(zip(rows, latents[len(rows) :], strict=True))
        return [plain[row] for row in range(len(prepared))], [weighted[row] for row in range(len(prepared))]
