"""What every detector takes and returns.

Shapes: N detections, K keypoints.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from bolid_pipeline.images.decoding import Rgb


@dataclass(frozen=True)
class Detections:
    """The detections in one image, surest first."""

    boxes_xyxy: NDArray[np.float32]
    """(N, 4): x1, y1, x2, y2 in px."""
    conf: NDArray[np.float32]
    """(N,) in [0, 1]."""
    keypoints: NDArray[np.float32] | None
    """(N, K, 3): x_px, y_px, confidence in [0, 1]; None if the network finds no keypoints."""

    def scaled(self, factor_x: float, factor_y: float) -> "Detections":
        """Convert to the px of a picture `factor_x` times as wide and `factor_y` times as high."""
        boxes = self.boxes_xyxy * np.array([factor_x, factor_y, factor_x, factor_y], np.float32)
        if self.keypoints is None:
            return Detections(boxes, self.conf, None)
        return Detections(boxes, self.conf, self.keypoints * np.array([factor_x, factor_y, 1], np.float32))


class Detector(nn.Module, ABC):
    """A frozen network that finds faces, persons, or persons with their keypoints."""

    num_keypoints: int = 0
    """Keypoints of each detection; 0 if the network finds boxes alone."""

    @abstractmethod
    def detect(self, images: Sequence[Rgb], *, image_size: int, conf: float, iou: float) -> list[Detections]:
        """Find what the network looks for in several images.

        Args:
            images: (H, W, 3) uint8 RGB each, of any sizes.
            image_size: side in px of the square that the network sees, a multiple of 32.
            conf: least confidence of a detection.
            iou: of two boxes that overlap by more than this, the less sure one is dropped.

        Returns:
            The detections of each image, in px of that image, clipped to it.
        """
