"""A frozen pose network called as a module, so that gradients flow from keypoints back into pictures.

Shape suffixes: B pictures, H W pixels, K keypoints.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from bolid_pipeline.pretrained.weights import Weights


@dataclass(frozen=True)
class FoundKeypoints:
    """The most certain person in each picture: x, y in [0, 1] of the picture with gradient, confidences without."""

    keypoints_BK2: torch.Tensor
    confidence_BK: torch.Tensor
    person_B: torch.Tensor


class PoseNetwork(nn.Module, ABC):
    """A frozen pose network whose keypoints have a gradient."""

    @abstractmethod
    def forward(self, pixels_B3HW: torch.Tensor) -> FoundKeypoints:
        """Keypoints of pictures with values in [0, 1], of the network's dtype."""


def open_pose_network(weights: Weights, image_size_px: int) -> PoseNetwork:
    """The pose network of a YOLO file, or of a ViTPose folder.

    Args:
        weights: weights of the network.
        image_size_px: side of the square that a YOLO sees, a multiple of 32. A ViTPose has a size of its own.

    Raises:
        WeightsMissing, WeightsMismatch: it cannot be opened.
        ConfigurationError: it does not find poses, or the size does not fit.
    """
    if isinstance(weights, Path):
        from bolid_pipeline.training.pose_by_vitpose import VitPoseNetwork

        return VitPoseNetwork(weights)
    from bolid_pipeline.training.pose_by_yolo import YoloPoseNetwork

    return YoloPoseNetwork(weights, image_size_px)
