"""Keypoints with a gradient by a YOLO pose network: those of the cell of its grids that is the surest of a person.

Shape suffixes: B pictures, H W pixels, K keypoints, A cells of the network's grids, S side of its square.
"""

from typing import Any

import torch
from torch.nn import functional as F

from bolid_pipeline.detection.yolo import load_yolo
from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.images.decoding import LETTERBOX_GREY
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.training.pose_network import FoundKeypoints, PoseNetwork


class YoloPoseNetwork(PoseNetwork):
    """A YOLO pose network, frozen. `YOLO.predict` would cut the gradient.

    The grid cell that stands for the person is chosen without gradient; its keypoints have one.

    Args:
        weights: weights of the network.
        image_size_px: side of the square that pictures are letterboxed into, a multiple of 32.

    Raises:
        WeightsMissing, WeightsMismatch: see `load_yolo`.
        ConfigurationError: the network does not find poses, or has no grid (end to end), or the size does not fit.
    """

    def __init__(self, weights: WeightsFile, image_size_px: int) -> None:
        super().__init__()
        self.network: Any = load_yolo(weights.path, weights.sha256)
        head = self.network.model[-1]
        if getattr(head, "kpt_shape", None) is None or head.end2end:
            raise ConfigurationError(f"{weights.path} is no pose network whose cells can be told apart")
        if image_size_px % 32:
            raise ConfigurationError(f"the pose network's size must be a multiple of 32, not {image_size_px}")
        self._num_classes: int = head.nc
        self._kpt_shape: tuple[int, int] = tuple(head.kpt_shape)
        self._size = image_size_px

    def forward(self, pixels_B3HW: torch.Tensor) -> FoundKeypoints:
        """Keypoints of pictures with values in [0, 1], of the network's dtype."""
        squares_B3SS, scale, (left, top) = self._letterbox(pixels_B3HW)
        with torch.autocast(squares_B3SS.device.type, enabled=False):  # in bfloat16 keypoints are 4 px coarse
            cells_BXA = self.network(squares_B3SS)[0]
        scores_BA = cells_BXA[:, 4 : 4 + self._num_classes].amax(1)
        best_B = scores_BA.argmax(1)
        rows = torch.arange(len(cells_BXA), device=cells_BXA.device)
        found_BK3 = cells_BXA[rows, 4 + self._num_classes :, best_B].unflatten(1, self._kpt_shape)
        height, width = pixels_B3HW.shape[-2:]
        x_BK, y_BK = found_BK3[..., 0] - left, found_BK3[..., 1] - top
        return FoundKeypoints(
            keypoints_BK2=torch.stack([x_BK / scale / width, y_BK / scale / height], dim=-1),
            confidence_BK=found_BK3[..., 2].detach(),
            person_B=scores_BA[rows, best_B].detach(),
        )

    def _letterbox(self, pixels_B3HW: torch.Tensor) -> tuple[torch.Tensor, float, tuple[int, int]]:
        """The square, the scale of the picture in it, and the position of the picture's left and top edges."""
        height, width = pixels_B3HW.shape[-2:]
        scale = self._size / max(height, width)
        rows, columns = round(height * scale), round(width * scale)
        resized = F.interpolate(pixels_B3HW, (rows, columns), mode="bilinear", antialias=scale < 1)
        left, top = (self._size - columns) // 2, (self._size - rows) // 2
        border = (left, self._size - columns - left, top, self._size - rows - top)
        return F.pad(resized, border, value=LETTERBOX_GREY / 255), scale, (left, top)
