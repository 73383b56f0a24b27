"""The body views of a latent table, as the body encoder takes them.

Shape suffixes: R rows of the table, B people, N views, C latent channels, G side of the view grid, D c_body.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.models.body_bank import PersonBody
from bolid_pipeline.models.body_encoder import BodyEncoder, to_view_grid

_PHOTOS_PER_CALL = 64
_VIEWS_KEPT = 4096  # 11 KB each on a grid of 16


class BodyViews:
    """Body latents as view grids, and the weight of each: the mean confidence of its keypoints.

    Grids are made on demand and the last ones are kept, so that memory stays flat for any number of rows.
    """

    def __init__(self, latents: LatentTable, grid: int) -> None:
        self._latents = latents
        self._keypoints_RK3 = torch.from_numpy(latents.keypoints.astype(np.float32))
        self._weights_R = self._keypoints_RK3[:, :, 2].clamp(0, 1).mean(1)
        self._grid = grid
        self._view = lru_cache(_VIEWS_KEPT)(self._make_view)

    def gather(self, row_BN: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Views (B, N, C + 18, G, G) float16 and weights (B, N) of row numbers; padding (-1) gets weight 0.

        The first view of each person must not be padding.
        """
        is_view_BN = row_BN >= 0
        shown_BN = np.where(is_view_BN, row_BN, row_BN[:, :1])  # padding repeats a view that is read anyway
        views_MCGG = torch.stack([self._view(row) for row in shown_BN.ravel().tolist()])
        weights_BN = self._weights_R[torch.from_numpy(shown_BN)] * torch.from_numpy(is_view_BN)
        return views_MCGG.unflatten(0, row_BN.shape), weights_BN

    def _make_view(self, row: int) -> torch.Tensor:
        latent_CHW = torch.from_numpy(self._latents.body_latent(row).copy())
        return to_view_grid(latent_CHW, self._keypoints_RK3[row], self._grid)


@torch.no_grad()
def encode_body(encoder: BodyEncoder, views: BodyViews, rows: Sequence[int]) -> PersonBody:
    """A person's body: the posterior's mean from all the given rows at once, its spread from one row at a time."""

    def posterior_mean(row_BN: NDArray[np.int64]) -> torch.Tensor:
        views_BNCGG, weights_BN = views.gather(row_BN)
        return encoder(views_BNCGG.to(encoder.device), weights_BN.to(encoder.device)).mean_BD.cpu()

    row_N = np.array(rows)
    singles = [
        posterior_mean(row_N[i : i + _PHOTOS_PER_CALL, None]) for i in range(0, len(rows), _PHOTOS_PER_CALL)
    ]
    return PersonBody(posterior_mean(row_N[None])[0], len(rows), torch.cat(singles).std(0, correction=0))
