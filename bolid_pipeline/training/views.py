"""The body views of a latent table, as the body encoder takes them.

Shape suffixes: R rows of the table, B people, N views, C latent channels, G side of the view grid, D c_body.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.models.body_encoder import BodyEncoder, to_view_grid


class BodyViews:
    """All body latents as view grids, made once, and how much each counts: the mean confidence of its keypoints."""

    def __init__(self, latents: LatentTable, grid: int) -> None:
        self._views_RCGG = torch.stack(
            [
                to_view_grid(torch.from_numpy(latents.body_latent(row).copy()), grid)
                for row in range(len(latents))
            ]
        )
        confidence_RK = torch.from_numpy(latents.keypoints[:, :, 2].astype(np.float32))
        self._weights_R = confidence_RK.clamp(0, 1).mean(1)

    def gather(self, row_BN: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Views (B, N, C + 1, G, G) float16 and weights (B, N) of row numbers; padding (-1) gets weight 0."""
        rows = torch.from_numpy(row_BN)
        return self._views_RCGG[rows.clamp_min(0)], self._weights_R[rows.clamp_min(0)] * (rows >= 0)


@torch.no_grad()
def encode_body(encoder: BodyEncoder, views: BodyViews, rows: Sequence[int]) -> torch.Tensor:
    """c_body (D,) of a person from all the given rows at once: the mean of the posterior."""
    views_1NCGG, weights_1N = views.gather(np.array([rows]))
    return encoder(views_1NCGG.to(encoder.device), weights_1N.to(encoder.device)).mean_BD[0]
