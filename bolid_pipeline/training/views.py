"""The body views of a latent table, as the body encoder takes them.

Shape suffixes: R rows of the table, B people, N views, C latent channels, G side of the view grid, D c_body.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.models.body_bank import PersonBody
from bolid_pipeline.models.body_encoder import BodyEncoder, to_view_grid

_PHOTOS_PER_CALL = 64


class BodyViews:
    """All body latents as view grids, made once, and how much each counts: the mean confidence of its keypoints."""

    def __init__(self, latents: LatentTable, grid: int) -> None:
        keypoints_RK3 = torch.from_numpy(latents.keypoints.astype(np.float32))
        self._views_RCGG = torch.stack(
            [
                to_view_grid(torch.from_numpy(latents.body_latent(row).copy()), keypoints_RK3[row], grid)
                for row in range(len(latents))
            ]
        )
        self._weights_R = keypoints_RK3[:, :, 2].clamp(0, 1).mean(1)

    def gather(self, row_BN: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Views (B, N, C + 18, G, G) float16 and weights (B, N) of row numbers; padding (-1) gets weight 0."""
        rows = torch.from_numpy(row_BN)
        return self._views_RCGG[rows.clamp_min(0)], self._weights_R[rows.clamp_min(0)] * (rows >= 0)


@torch.no_grad()
def encode_body(encoder: BodyEncoder, views: BodyViews, rows: Sequence[int]) -> PersonBody:
    """A person's body: the posterior's mean from all the given rows at once, its spread from one row at a time."""

    def posterior_mean(row_BN: NDArray[np.int64]) -> torch.Tensor:
        views_BNCGG, weights_BN = views.gather(row_BN)
        return encoder(views_BNCGG.to(encoder.device), weights_BN.to(encoder.device)).mean_BD

    row_N = np.array(rows)
    singles = [
        posterior_mean(row_N[i : i + _PHOTOS_PER_CALL, None]) for i in range(0, len(rows), _PHOTOS_PER_CALL)
    ]
    return PersonBody(posterior_mean(row_N[None])[0], len(rows), torch.cat(singles).std(0, correction=0))
