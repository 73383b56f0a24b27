"""The pictures that the small CLIP learns from, and how they are cropped.

Shape suffixes: N pictures, B batch, H height, W width, K keypoints, D identity parameters, S slots.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from bodyworld.pretrain.clip_model import IMAGE_MEAN, IMAGE_SIZE_PX, IMAGE_STD
from bodyworld.pretrain.thumbnails import Thumbnails
from bodyworld.world.captions import SLOTS
from bolid_pipeline.pose.skeleton import FLIP_INDEX


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Pictures of all buckets, squashed to the input square, with what is known of them."""

    pixels_NHW3: NDArray[np.uint8]
    """(N, 64, 64, 3) RGB."""
    keypoints_NK3: NDArray[np.float32]
    """x and y as fractions of the picture, visibility 0 or 1."""
    identities_ND: NDArray[np.float32]
    """`BodyIdentity.vector` of the person."""
    slots: list[dict[str, str]]
    """The phrases of each caption."""
    labels_NS: NDArray[np.int64]
    """The phrases as numbers, see `slot_labels`."""

    def shuffled(self, rng: np.random.Generator) -> "Pictures":
        """The same pictures in another order, so that those of one person are not neighbours."""
        order = rng.permutation(len(self.slots))
        return Pictures(
            pixels_NHW3=self.pixels_NHW3[order],
            keypoints_NK3=self.keypoints_NK3[order],
            identities_ND=self.identities_ND[order],
            slots=[self.slots[row] for row in order],
            labels_NS=self.labels_NS[order],
        )


def squash(parts: list[Thumbnails]) -> Pictures:
    """The pictures of all buckets at the size of the vision tower's input."""
    size = (IMAGE_SIZE_PX, IMAGE_SIZE_PX)
    pixels = (pixels for part in parts for pixels in part.pixels_NHW3)
    slots = [entry for part in parts for entry in part.slots]
    return Pictures(
        pixels_NHW3=np.stack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in pixels]),
        keypoints_NK3=np.concatenate([part.keypoints_NK3 for part in parts]),
        identities_ND=np.concatenate([part.identities_ND for part in parts]),
        slots=slots,
        labels_NS=slot_labels(slots),
    )


def slot_labels(slots: Sequence[dict[str, str]]) -> NDArray[np.int64]:
    """(N, S) number of the phrase in each slot, -1 where the caption leaves the slot out."""
    return np.array(
        [[SLOTS[slot].index(entry[slot]) if slot in entry else -1 for slot in SLOTS] for entry in slots]
    )


def draw_crops(is_mirrored_B: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """(B, 2, 3) maps from crops of 82 to 100 % of each side to the whole picture, in coordinates from -1 to 1."""
    scales = rng.uniform(0.82, 1.0, (len(is_mirrored_B), 2))
    matrices = np.zeros((len(is_mirrored_B), 2, 3), np.float32)
    matrices[:, 0, 0] = scales[:, 0] * np.where(is_mirrored_B, -1.0, 1.0)
    matrices[:, 1, 1] = scales[:, 1]
    matrices[:, :, 2] = (1.0 - scales) * rng.uniform(-1.0, 1.0, scales.shape)
    return matrices


def augment(
    pixels_BHW3: NDArray[np.uint8], matrices_B23: NDArray[np.float32], rng: np.random.Generator
) -> Tensor:
    """(B, 3, H, W) crops of pictures, normalised, stretched to full size, in slightly different light."""
    images = normalised(pixels_BHW3)
    grid = F.affine_grid(torch.from_numpy(matrices_B23), list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    gains = 1.0 + 0.06 * torch.from_numpy(rng.standard_normal((len(images), 3, 1, 1)).astype(np.float32))
    return ((images + 1.0) * gains - 1.0).clamp_(-1.0, 1.0)


def crop_keypoints(
    keypoints_BK3: NDArray[np.float32], matrices_B23: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(B, K, 3) keypoints of the crops: x and y from -1 to 1, visibility. A mirrored crop swaps left and right."""
    scales = np.stack([matrices_B23[:, 0, 0], matrices_B23[:, 1, 1]], -1)
    points = (keypoints_BK3[..., :2] * 2.0 - 1.0 - matrices_B23[:, None, :, 2]) / scales[:, None]
    is_visible = (keypoints_BK3[..., 2] > 0.5) & (np.abs(points) <= 1.0).all(-1)
    cropped = np.concatenate([points, is_visible[..., None]], -1).astype(np.float32)
    is_mirrored = scales[:, 0] < 0
    cropped[is_mirrored] = cropped[is_mirrored][:, list(FLIP_INDEX)]
    return cropped


def normalised(pixels_BHW3: NDArray[np.uint8]) -> Tensor:
    """(B, 3, H, W) float32: what the image processor makes of pictures of the right size."""
    images = torch.from_numpy(np.ascontiguousarray(pixels_BHW3)).permute(0, 3, 1, 2).float() / 255.0
    return (images - torch.tensor(IMAGE_MEAN).view(3, 1, 1)) / torch.tensor(IMAGE_STD).view(3, 1, 1)
