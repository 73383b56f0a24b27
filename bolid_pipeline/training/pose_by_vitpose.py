"""Keypoints with a gradient by a ViTPose: the middle of the highest hill in the heatmap of each.

Shape suffixes: B pictures, H W pixels, K keypoints, R C rows and columns of the heatmaps.
"""

from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from bolid_pipeline.detection.vitpose import load_vitpose, vitpose_inputs
from bolid_pipeline.training.pose_network import FoundKeypoints, PoseNetwork

_HILL_CELLS = 5.0
"""Cells to each side of a peak that belong to its hill: ViTPose learned hills of a standard deviation of 2."""
_SEEN_CONF = 0.3
"""Least confidence of the keypoints that the person's box is drawn round."""
_MARGIN = 1.5
"""Side of what the network sees of a person, to that of the box round the keypoints: 1.25 as in its training, and a
fifth for what lies beyond the outermost joints."""


class VitPoseNetwork(PoseNetwork):
    """A ViTPose that looks twice: at the whole picture, and at the box round the keypoints that it found there.

    Box and peaks are found without gradient; the position of a keypoint on its hill has one.

    Args:
        folder: of the model.

    Raises:
        WeightsMissing, WeightsMismatch: see `load_vitpose`.
    """

    _mean_311: torch.Tensor
    _std_311: torch.Tensor

    def __init__(self, folder: Path) -> None:
        super().__init__()
        network, processor = load_vitpose(folder)
        self.network: Any = network
        self._size_hw = (int(processor.size["height"]), int(processor.size["width"]))
        mean, std = (
            torch.tensor(values)[:, None, None] for values in (processor.image_mean, processor.image_std)
        )
        self.register_buffer("_mean_311", mean, persistent=False)
        self.register_buffer("_std_311", std, persistent=False)

    def forward(self, pixels_B3HW: torch.Tensor) -> FoundKeypoints:
        """See `PoseNetwork.forward`."""
        height, width = pixels_B3HW.shape[-2:]
        # Numbers are filled in on the device: copied there, they would make it wait.
        no_B = pixels_B3HW.new_zeros(len(pixels_B3HW))
        whole_B4 = torch.stack([no_B, no_B, no_B + width, no_B + height], dim=1)
        with torch.no_grad():
            glimpse = self._look(pixels_B3HW, whole_B4, 1.0)
            box_B4 = _box_round(glimpse, whole_B4)
        return self._look(pixels_B3HW, box_B4, _MARGIN)

    def _look(self, pixels_B3HW: torch.Tensor, box_B4: torch.Tensor, margin: float) -> FoundKeypoints:
        """The keypoints in boxes of left, top, right and bottom in px, each enlarged to the network's aspect."""
        height, width = pixels_B3HW.shape[-2:]
        corner_B2, extent_B2 = self._view(box_B4, margin)
        crops_B3HW = _cut(pixels_B3HW, corner_B2, extent_B2, self._size_hw)
        crops_B3HW = (crops_B3HW - self._mean_311) / self._std_311
        with torch.autocast(crops_B3HW.device.type, enabled=False):  # as a YOLO's
            heatmaps_BKRC = self.network(**vitpose_inputs(self.network, crops_B3HW)).heatmaps
        position_BK2, peak_BK = find_hills(heatmaps_BKRC.to(pixels_B3HW.dtype))
        found_BK2 = corner_B2[:, None] + position_BK2 * extent_B2[:, None]
        confidence_BK = peak_BK.clamp(0, 1).detach()
        return FoundKeypoints(
            keypoints_BK2=torch.stack([found_BK2[..., 0] / width, found_BK2[..., 1] / height], dim=-1),
            confidence_BK=confidence_BK,
            # Half of the keypoints are at least as sure.
            person_B=confidence_BK.sort(dim=1).values[:, confidence_BK.shape[1] // 2],
        )

    def _view(self, box_B4: torch.Tensor, margin: float) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 2) left and top in px of what the network sees, and (B, 2) its width and height."""
        rows, columns = self._size_hw
        width_B, height_B = (box_B4[:, 2:] - box_B4[:, :2]).clamp_min(1).unbind(1)
        height_B = torch.maximum(height_B, width_B * rows / columns) * margin
        extent_B2 = torch.stack([height_B * columns / rows, height_B], dim=1)
        return (box_B4[:, :2] + box_B4[:, 2:] - extent_B2) / 2, extent_B2


def find_hills(heatmaps_BKRC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The highest hill of each heatmap.

    A mean over the whole map would be drawn to the middle by the noise far from the hill.

    Returns:
        (B, K, 2) x, y in [0, 1] from the centre of the first cell to that of the last, with gradient; (B, K) height of
        the peak.
    """
    rows, columns = heatmaps_BKRC.shape[-2:]
    peak_BK, index_BK = heatmaps_BKRC.flatten(2).max(dim=2)
    x_C, y_R = (
        torch.arange(cells, device=heatmaps_BKRC.device, dtype=heatmaps_BKRC.dtype)
        for cells in (columns, rows)
    )
    is_near_BKC = (x_C - (index_BK % columns)[..., None]).abs() <= _HILL_CELLS
    is_near_BKR = (y_R - (index_BK // columns)[..., None]).abs() <= _HILL_CELLS
    hill_BKRC = heatmaps_BKRC.clamp_min(0) * (is_near_BKR[..., :, None] & is_near_BKC[..., None, :])
    total_BK = hill_BKRC.sum((2, 3)).clamp_min(1e-6)
    x_BK = (hill_BKRC * x_C).sum((2, 3)) / total_BK / (columns - 1)
    y_BK = (hill_BKRC * y_R[:, None]).sum((2, 3)) / total_BK / (rows - 1)
    return torch.stack([x_BK, y_BK], dim=2), peak_BK


def _box_round(found: FoundKeypoints, whole_B4: torch.Tensor) -> torch.Tensor:
    """(B, 4) left, top, right, bottom in px round the keypoints that were seen; the whole picture if none was."""
    is_seen_BK1 = (found.confidence_BK >= _SEEN_CONF)[..., None]
    position_BK2 = found.keypoints_BK2 * whole_B4[:, None, 2:]
    first_B2 = position_BK2.masked_fill(~is_seen_BK1, torch.inf).amin(1)
    last_B2 = position_BK2.masked_fill(~is_seen_BK1, -torch.inf).amax(1)
    return torch.where(is_seen_BK1.any(1), torch.cat([first_B2, last_B2], dim=1), whole_B4)


def _cut(
    pixels_B3HW: torch.Tensor, corner_B2: torch.Tensor, extent_B2: torch.Tensor, size_hw: tuple[int, int]
) -> torch.Tensor:
    """What lies in (B, 2) corners and extents in px, scaled to `size_hw`; black beyond the picture.

    The centres of the first and last pixels fall on the edges, as transformers' image processor of ViTPose has it.
    """
    height, width = pixels_B3HW.shape[-2:]
    x_BC, y_BR = (
        corner_B2[:, axis, None]
        + extent_B2[:, axis, None]
        * torch.linspace(0, 1, cells, device=corner_B2.device, dtype=corner_B2.dtype)
        for axis, cells in ((0, size_hw[1]), (1, size_hw[0]))
    )
    across_BC, down_BR = 2 * x_BC / (width - 1) - 1, 2 * y_BR / (height - 1) - 1
    shape = (len(pixels_B3HW), *size_hw)
    grid_BRC2 = torch.stack([across_BC[:, None].expand(shape), down_BR[..., None].expand(shape)], dim=3)
    return F.grid_sample(pixels_B3HW, grid_BRC2, align_corners=True)
