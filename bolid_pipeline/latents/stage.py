"""The stages that turn every photo with a pose into latents, or weight it anew."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bolid_pipeline.images.decoding import Rgb, decode_stored
from bolid_pipeline.latents.autoencoder import ImageEncoder, LatentEncoder
from bolid_pipeline.latents.layout import to_binary
from bolid_pipeline.latents.preparation import PreparedPhoto, prepare_photo
from bolid_pipeline.latents.recipe import LatentRecipe
from bolid_pipeline.pose.skeleton import NUM_KEYPOINTS
from bolid_pipeline.stages.recipe import PhotoStage
from bolid_pipeline.storage.photos import PhotoStore

_MIN_OVERSAMPLING = 2  # a photo is decoded at no less than twice the bucket's resolution


class _LatentStage(PhotoStage[PreparedPhoto | None]):
    """Common part of both stages: the VAE, and photos cut to their buckets."""

    def __init__(self, recipe: LatentRecipe, photos: PhotoStore, device: str = "cpu") -> None:
        self._recipe = recipe
        self._photos = photos
        self._vae = LatentEncoder(recipe.models.vae, device)

    def read(self, photo: dict[str, Any]) -> PreparedPhoto | None:
        """The photo cut to its bucket, plain and weighted; None for one that cannot be read."""
        layout, config = self._recipe.layout, self._recipe.config
        longest = _MIN_OVERSAMPLING * max(max(bucket.height, bucket.width) for bucket in layout.buckets)
        image = decode_stored(self._photos.read, photo["path"], min_side_px=longest)
        return None if image is None else prepare_photo(image, photo, layout.buckets, config)

    def _encode(self, pictures: Sequence[Rgb]) -> pa.Array:
        """Latents in order, as the table holds them; the VAE sees all pictures of a size in one batch."""
        rows_of: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for row, picture in enumerate(pictures):
            rows_of[picture.shape].append(row)
        latents: dict[int, NDArray[np.float16]] = {}
        for rows in rows_of.values():
            latents.update(zip(rows, self._vae([pictures[row] for row in rows]), strict=True))
        return to_binary([latents[row] for row in range(len(pictures))], self._recipe.layout.latent_length)


class LatentStage(_LatentStage):
    """Rows of `latents` for the rows that `photos_with_pose` makes.

    A photo that can no longer be read gets a line in the log and no row.
    """

    def __init__(self, recipe: LatentRecipe, photos: PhotoStore, device: str = "cpu") -> None:
        super().__init__(recipe, photos, device)
        models = recipe.models
        self._image_encoder = ImageEncoder(models.image_encoder, models.feature_extractor, device)

    def read(self, photo: dict[str, Any]) -> PreparedPhoto | None:
        """The photo cut to its bucket, plain, weighted, and as the image encoder sees it."""
        prepared = super().read(photo)
        return prepared and replace(prepared, for_image_encoder=self._image_encoder.prepare(prepared.plain))

    def compute(self, photos: pa.Table, read: list[PreparedPhoto | None]) -> pa.Table:
        """A row for each photo that could be read."""
        readable, prepared = _readable(photos, read)
        seen = [each.for_image_encoder for each in prepared if each.for_image_encoder is not None]
        embeds = self._image_encoder.embed(seen) if seen else ()
        return pa.table(
            {
                "photo_id": readable["photo_id"],
                "identity": readable["identity"],
                "latent": self._encode([each.plain for each in prepared]),
                "body_latent": self._encode([each.weighted for each in prepared]),
                "image_embed": to_binary(list(embeds), self._recipe.layout.image_embed_dim),
                "crop": pa.array([each.crop_xywh.tolist() for each in prepared], pa.list_(pa.float32(), 4)),
                "keypoints": to_binary([each.keypoints for each in prepared], 3 * NUM_KEYPOINTS),
            },
            self._recipe.made_columns,
        )


class BodyLatentStage(_LatentStage):
    """The body latents alone, for existing rows of `latents`."""

    def compute(self, photos: pa.Table, read: list[PreparedPhoto | None]) -> pa.Table:
        """The body latent of each photo that could be read."""
        readable, prepared = _readable(photos, read)
        body_latents = self._encode([each.weighted for each in prepared])
        return pa.table(
            {"photo_id": readable["photo_id"], "body_latent": body_latents}, self._recipe.body.made_columns
        )


def _readable(photos: pa.Table, read: Sequence[PreparedPhoto | None]) -> tuple[pa.Table, list[PreparedPhoto]]:
    """The rows whose photo could be read, and these photos, in the same order."""
    is_readable = pa.array([each is not None for each in read], pa.bool_())
    return photos.filter(is_readable), [each for each in read if each is not None]
