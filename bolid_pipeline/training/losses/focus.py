"""The weight of each latent cell in L_diff: equal everywhere, or higher where the person is.

A person fills a small part of most full-length photos. L_diff is a mean over the whole photo, so it is dominated by
background and clothes, which the body does not determine. Therefore the Gaussian weighting of the body's pictures,
equations (11) to (13b) of the method, can weight the error too.

Shape suffixes: B batch, K keypoints, H W latent rows and columns.
"""

import torch

from bolid_pipeline.latents.gaussian import SIGMA_FRACTION
from bolid_pipeline.pose.distances import squared_distances
from bolid_pipeline.pose.skeleton import MIN_VISIBLE_CONF


def focus_weights(keypoints_BK3: torch.Tensor, height: int, width: int, background: float) -> torch.Tensor:
    """Background + (1 - background) W_norm for each latent cell, scaled to a mean of 1 over the photo.

    Args:
        keypoints_BK3: x, y in [0, 1] of the photo, confidence.
        height: latent rows.
        width: latent columns.
        background: weight of a cell far from every keypoint, where a keypoint has 1; above 0.

    Returns:
        (B, H, W) float32; all ones where no keypoint is visible.
    """
    squared_BKHW = squared_distances(keypoints_BK3, height, width)
    is_visible_BK11 = (keypoints_BK3[..., 2] >= MIN_VISIBLE_CONF)[..., None, None]
    nearest_BHW = squared_BKHW.masked_fill(~is_visible_BK11, torch.inf).amin(1)
    sigma_squared = SIGMA_FRACTION**2 * height * width
    closeness_BHW = torch.exp((nearest_BHW.amin((1, 2), keepdim=True) - nearest_BHW) / (2 * sigma_squared))
    weights_BHW = background + (1 - background) * closeness_BHW.nan_to_num(nan=1.0)
    return weights_BHW / weights_BHW.mean((1, 2), keepdim=True)
