"""A photo cut to its bucket, plain and weighted: the input of the networks that make the latents.

Shapes: K keypoints, H x W pixels of the bucket.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bolid_pipeline.images.decoding import Rgb, resize_to
from bolid_pipeline.latents.buckets import Box, Bucket, choose_crop
from bolid_pipeline.latents.config import LatentConfig
from bolid_pipeline.latents.gaussian import apply_weights, sigma_px, weight_map


@dataclass(frozen=True)
class PreparedPhoto:
    """A photo cut to its bucket, and the same weighted by its keypoints."""

    bucket: Bucket
    plain: Rgb
    weighted: Rgb
    crop_xywh: NDArray[np.float32]
    """x, y, width, height in px of the photo."""
    keypoints: NDArray[np.float32]
    """(17, 3): x, y in [0, 1] of the crop, and confidence; 0 for a keypoint that the crop leaves out."""
    for_image_encoder: NDArray[np.float32] | None = None
    """The plain picture as the image encoder sees it; None where no embedding is made."""


def prepare_photo(
    image: Rgb, photo: dict[str, Any], buckets: tuple[Bucket, ...], config: LatentConfig
) -> PreparedPhoto:
    """Choose bucket and crop, resize, and weight.

    Args:
        image: the photo, possibly decoded smaller than it is stored.
        photo: its `width_px`, `height_px`, `keypoints` (17 x 3) and `person_box` in px of the photo as
            stored.
        buckets: to choose from.
        config: settings of the weighting.
    """
    keypoints_K3 = np.array(photo["keypoints"], np.float32)
    is_visible_K = keypoints_K3[:, 2] >= config.min_keypoint_conf
    bucket, box = choose_crop(
        buckets, photo["width_px"], photo["height_px"], keypoints_K3[is_visible_K, :2], photo["person_box"]
    )
    scale_x, scale_y = image.shape[1] / photo["width_px"], image.shape[0] / photo["height_px"]
    scaled_box = (box[0] * scale_x, box[1] * scale_y, box[2] * scale_x, box[3] * scale_y)
    plain = resize_to(image, bucket.height, bucket.width, scaled_box)
    in_crop_K3 = _keypoints_of_crop(keypoints_K3, box)
    weights_HW = weight_map(
        in_crop_K3[:, :2] * (bucket.width, bucket.height),
        is_visible_K,
        bucket.height,
        bucket.width,
        sigma_px(bucket.height, bucket.width, config.sigma_fraction),
    )
    weighted = apply_weights(plain, weights_HW, config.alpha)
    crop_xywh = np.array([box[0], box[1], box[2] - box[0], box[3] - box[1]], np.float32)
    return PreparedPhoto(bucket, plain, weighted, crop_xywh, _hide_outside(in_crop_K3))


def _keypoints_of_crop(keypoints_K3: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
    """Positions as fractions of the crop; a keypoint outside of the crop is outside of [0, 1]."""
    fractions_K2 = (keypoints_K3[:, :2] - np.array(box[:2])) / (box[2] - box[0], box[3] - box[1])
    return np.concatenate([fractions_K2, keypoints_K3[:, 2:]], axis=1).astype(np.float32)


def _hide_outside(keypoints_K3: NDArray[np.float32]) -> NDArray[np.float32]:
    """Positions clipped to [0, 1], with confidence 0 for a keypoint that this moves by more than rounding."""
    clipped_K2 = keypoints_K3[:, :2].clip(0, 1)
    is_moved_K = (np.abs(clipped_K2 - keypoints_K3[:, :2]) > 1e-3).any(axis=1)
    return np.concatenate([clipped_K2, np.where(is_moved_K, 0, keypoints_K3[:, 2])[:, None]], axis=1)
