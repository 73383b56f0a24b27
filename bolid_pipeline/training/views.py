"""The body views of a latent table, as the body encoder takes them.

Shape suffixes: R rows of the table, B people, N views, M different views, C latent channels,
G side of the view grid, D c_body.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.models.body_bank import PersonBody
from bolid_pipeline.models.body_encoder import BodyEncoder, num_view_channels, to_view_grid

_PHOTOS_PER_CALL = 64


class BodyViews:
    """Body latents as view grids, made on demand, and the weight of each: the mean confidence of its keypoints."""

    def __init__(self, latents: LatentTable, grid: int) -> None:
        self._latents = latents
        self._keypoints_RK3 = torch.from_numpy(latents.keypoints.astype(np.float32))
        self._weights_R = self._keypoints_RK3[:, :, 2].clamp(0, 1).mean(1)
        self._grid = grid

    def gather(self, row_BN: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Views (B, N, C + 18, G, G) float16 and weights (B, N) of row numbers; padding (-1) gets weight 0.

        The first view of each person must not be padding.
        """
        is_view_BN = row_BN >= 0
        shown_BN = np.where(is_view_BN, row_BN, row_BN[:, :1])  # padding repeats a view that is read anyway
        row_M, place_BN = np.unique(shown_BN, return_inverse=True)
        views_MCGG = self._make_views(row_M.tolist())
        weights_BN = self._weights_R[torch.from_numpy(shown_BN)] * torch.from_numpy(is_view_BN)
        return views_MCGG[torch.from_numpy(place_BN.reshape(row_BN.shape))], weights_BN

    def _make_views(self, rows: Sequence[int]) -> torch.Tensor:
        """(M, C + 18, G, G) float16 of different rows; one call per bucket."""
        latents = [self._latents.body_latent(row) for row in rows]
        places_of: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, latent_CHW in enumerate(latents):
            places_of[latent_CHW.shape].append(place)
        size = num_view_channels(latents[0].shape[0]), self._grid, self._grid
        views_MCGG = torch.empty(len(rows), *size, dtype=torch.float16)
        for places in places_of.values():
            of_bucket = torch.from_numpy(np.stack([latents[place] for place in places]))
            keypoints = self._keypoints_RK3[[rows[place] for place in places]]
            views_MCGG[places] = to_view_grid(of_bucket, keypoints, self._grid)
        return views_MCGG


@torch.no_grad()
def encode_body(encoder: BodyEncoder, views: BodyViews, rows: Sequence[int]) -> PersonBody:
    """A person's body: the posterior's mean from all the given rows at once, its spread from one row at a time."""
    views_1NCGG, weights_1N = (part.to(encoder.device) for part in views.gather(np.array(rows)[None]))
    one_by_one = zip(
        views_1NCGG[0].split(_PHOTOS_PER_CALL), weights_1N[0].split(_PHOTOS_PER_CALL), strict=True
    )
    singles_ND = torch.cat([encoder(some[:, None], weights[:, None]).mean_BD for some, weights in one_by_one])
    spread_D = singles_ND.std(0, correction=0)
    return PersonBody(encoder(views_1NCGG, weights_1N).mean_BD[0].cpu(), len(rows), spread_D.cpu())
