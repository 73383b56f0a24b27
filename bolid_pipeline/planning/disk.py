"""Room on the disk that a data set and a training take."""

from dataclasses import dataclass

from bolid_pipeline.latents.buckets import make_buckets
from bolid_pipeline.latents.config import LatentConfig
from bolid_pipeline.latents.layout import HALF, LatentLayout
from bolid_pipeline.planning.costs import TrainingCost
from bolid_pipeline.pose.skeleton import NUM_KEYPOINTS

PHOTO_BYTES = 400_000
"""A photo of the gallery site, where none is stored whose size is known: an assumption."""
_LATENT_CHANNELS, _PIXELS_PER_CELL, _IMAGE_EMBED_DIM = 4, 8, 1024
"""Of the autoencoders of Stable Diffusion 1.5 and SDXL, and of IP-Adapter's image encoder."""
_NUM_LATENTS = 2


@dataclass(frozen=True, kw_only=True)
class DiskUse:
    """Bytes on the disk.

    Attributes:
        num_photos: photos of the data set.
        photos: the photos as received.
        latents: the table that training reads; all other tables together are a hundredth of it.
        training: the saved state of a training that goes on, twice while a new one replaces it.
    """

    num_photos: int
    photos: int
    latents: int
    training: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.photos + self.latents + self.training


def disk_use(num_photos: int, photo_bytes: float, latents: LatentConfig, cost: TrainingCost) -> DiskUse:
    """The room for a data set of published sizes, and a training on it.

    Args:
        num_photos: photos that are kept.
        photo_bytes: mean size of a photo.
        latents: settings of the latents.
        cost: of the training.
    """
    trained = cost.l_diff.state_bytes // 3  # the state holds two moments and the running mean
    return DiskUse(
        num_photos=num_photos,
        photos=round(num_photos * photo_bytes),
        latents=num_photos * _row_bytes(latents),
        training=2 * (trained + cost.l_diff.state_bytes),
    )


def _row_bytes(config: LatentConfig) -> int:
    buckets = make_buckets(config.resolution_px, config.bucket_multiple_px, config.max_aspect)
    layout = LatentLayout(
        latent_shapes={
            bucket: (_LATENT_CHANNELS, bucket.height // _PIXELS_PER_CELL, bucket.width // _PIXELS_PER_CELL)
            for bucket in buckets
        },
        scaling_factor=1.0,
        shift_factor=0.0,
        image_embed_dim=_IMAGE_EMBED_DIM,
        models="",
    )
    numbers = _NUM_LATENTS * layout.latent_length + layout.image_embed_dim + NUM_KEYPOINTS * 3
    return numbers * HALF.itemsize
