"""The stages that turn every photo with a pose into latents, or weight it anew."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bolid_pipeline.images import Rgb, decode_many
from bolid_pipeline.latents.autoencoder import ImageEncoder, LatentEncoder
from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.latents.layout import to_binary
from bolid_pipeline.latents.preparation import PreparedPhoto, prepare_photo
from bolid_pipeline.latents.recipe import LatentRecipe
from bolid_pipeline.pose.skeleton import NUM_KEYPOINTS
from bolid_pipeline.storage.photos import PhotoStore

_MIN_OVERSAMPLING = 2  # a photo is decoded at no less than twice the bucket's resolution


class LatentStage:
    """Rows of `latents` for the rows that `photos_with_pose` makes.

    A photo that cannot be read any more has no row, and a line in the log.
    """

    def __init__(self, recipe: LatentRecipe, store: PhotoStore, device: str = "cpu") -> None:
        models = recipe.models
        self._recipe = recipe
        self._store = store
        self._vae = LatentEncoder(models.vae, device)
        self._image_encoder = ImageEncoder(models.image_encoder, models.feature_extractor, device)

    def __call__(self, photos: pa.Table) -> pa.Table:
        """See the class."""
        return self.compute(photos, self.read(photos))

    def read(self, photos: pa.Table) -> list[PreparedPhoto | None]:
        """What the networks see of each photo."""
        return _prepare(self._recipe, self._store, photos)

    def compute(self, photos: pa.Table, read: list[PreparedPhoto | None]) -> pa.Table:
        """The rows of photos that were read."""
        readable, prepared = _readable(photos, read)
        layout = self._recipe.layout
        plain = _encode(self._vae, [each.plain for each in prepared])
        weighted = _encode(self._vae, [each.weighted for each in prepared])
        embeds = self._image_encoder([each.plain for each in prepared]) if prepared else ()
        return pa.table(
            {
                "photo_id": readable["photo_id"],
                "identity": readable["identity"],
                "latent": to_binary(plain, layout.latent_length),
                "body_latent": to_binary(weighted, layout.latent_length),
                "image_embed": to_binary(list(embeds), layout.image_embed_dim),
                "crop": pa.array([each.crop_xywh.tolist() for each in prepared], pa.list_(pa.float32(), 4)),
                "keypoints": to_binary([each.keypoints for each in prepared], 3 * NUM_KEYPOINTS),
                "model_fingerprint": [self._recipe.fingerprints.plain] * len(prepared),
                "body_fingerprint": [self._recipe.fingerprints.body] * len(prepared),
            },
            layout.schema().columns,
        )


class BodyLatentStage:
    """The stored rows of photos with their body latents made anew, everything else as it was.

    Args:
        recipe: how latents are made.
        store: the photos' bytes.
        stored: the table as it is; it holds every photo that the stage is called with.
        device: that the VAE runs on.
    """

    def __init__(
        self, recipe: LatentRecipe, store: PhotoStore, stored: LatentTable, device: str = "cpu"
    ) -> None:
        self._recipe = recipe
        self._store = store
        self._vae = LatentEncoder(recipe.models.vae, device)
        self._stored = stored
        self._row_of = {photo_id: row for row, photo_id in enumerate(stored.photo_ids)}

    def __call__(self, photos: pa.Table) -> pa.Table:
        """See the class."""
        return self.compute(photos, self.read(photos))

    def read(self, photos: pa.Table) -> list[PreparedPhoto | None]:
        """What the VAE sees of each photo."""
        return _prepare(self._recipe, self._store, photos)

    def compute(self, photos: pa.Table, read: list[PreparedPhoto | None]) -> pa.Table:
        """The rows of photos that were read."""
        readable, prepared = _readable(photos, read)
        weighted = _encode(self._vae, [each.weighted for each in prepared])
        rows = self._stored.rows([self._row_of[photo_id] for photo_id in readable["photo_id"].to_pylist()])
        columns = self._recipe.layout.schema().columns
        made = {
            "body_latent": to_binary(weighted, self._recipe.layout.latent_length),
            "body_fingerprint": pa.array([self._recipe.fingerprints.body] * len(prepared), pa.string()),
        }
        return pa.table({name: made.get(name, rows[name]) for name in columns.names}, columns)


def _prepare(recipe: LatentRecipe, store: PhotoStore, photos: pa.Table) -> list[PreparedPhoto | None]:
    """The photos cut to their buckets; None for one that cannot be read."""
    longest = _MIN_OVERSAMPLING * max(max(bucket.height, bucket.width) for bucket in recipe.layout.buckets)
    images = decode_many(store.read, photos["path"].to_pylist(), min_side_px=longest)
    facts = photos.select(["width_px", "height_px", "keypoints", "person_box"]).to_pylist()
    return [
        None if image is None else prepare_photo(image, photo, recipe.layout.buckets, recipe.config)
        for image, photo in zip(images, facts, strict=True)
    ]


def _readable(photos: pa.Table, read: Sequence[PreparedPhoto | None]) -> tuple[pa.Table, list[PreparedPhoto]]:
    """The rows whose photo could be read, and these photos, in the same order."""
    is_readable = pa.array([each is not None for each in read], pa.bool_())
    return photos.filter(is_readable), [each for each in read if each is not None]


def _encode(vae: LatentEncoder, pictures: Sequence[Rgb]) -> list[NDArray[np.float16]]:
    """Latents in order; the VAE sees all pictures of a size in one batch."""
    rows_of: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row, picture in enumerate(pictures):
        rows_of[picture.shape].append(row)
    latents: dict[int, NDArray[np.float16]] = {}
    for rows in rows_of.values():
        latents.update(zip(rows, vae([pictures[row] for row in rows]), strict=True))
    return [latents[row] for row in range(len(pictures))]
