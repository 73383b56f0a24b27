"""Distances of a grid's cells from keypoints, of which every Gaussian round a keypoint is made.

Shape suffixes: K keypoints, H W rows and columns of the grid.
"""

import torch


def squared_distances(keypoints_K3: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Squared distance of each cell's centre from each keypoint, in cells.

    Args:
        keypoints_K3: (..., K, 3): x, y in [0, 1] of the picture that the grid covers, and a confidence.
        rows: H.
        columns: W.

    Returns:
        (..., K, H, W).
    """
    device = keypoints_K3.device
    x_W, y_H = (torch.arange(side, device=device) + 0.5 for side in (columns, rows))
    dx_KW = x_W - keypoints_K3[..., :1] * columns
    dy_KH = y_H - keypoints_K3[..., 1:2] * rows
    return dx_KW.square()[..., None, :] + dy_KH.square()[..., None]
