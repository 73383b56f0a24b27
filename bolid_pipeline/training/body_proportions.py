"""The body proportions of every person, as the pose-free L_id compares them.

Shape suffixes: R rows of the table, B people, K keypoints, M limbs.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.training.losses.proportions import LIMBS, limb_lengths, typical_proportions


class BodyProportions:
    """Log proportions of people (see `losses.proportions`), measured when they are first asked for.

    Args:
        latents: the latent table.
        rows: numbers of the rows that are measured.
    """

    def __init__(self, latents: LatentTable, rows: Sequence[int]) -> None:
        self._rows_of_person: dict[str, list[int]] = {}
        for row in rows:
            self._rows_of_person.setdefault(latents.identities[row], []).append(row)
        self._lengths_RM, self._weights_RM = _limbs_of_rows(latents)
        self._of_person = cache(self._measure)

    def gather(self, people: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, M) log proportions of people and (B, M) the certainty of each, in [0, 1]; float32."""
        proportions, weights = zip(*(self._of_person(person) for person in people), strict=True)
        return torch.from_numpy(np.stack(proportions)), torch.from_numpy(np.stack(weights))

    def _measure(self, person: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = self._rows_of_person[person]
        return typical_proportions(self._lengths_RM[rows], self._weights_RM[rows])


def _limbs_of_rows(latents: LatentTable) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(R, M) log lengths of the limbs of all rows, and (R, M) weights; one call per bucket, as the aspect differs."""
    keypoints_RK3 = torch.from_numpy(latents.keypoints.astype(np.float32))
    lengths_RM, weights_RM = np.zeros((2, len(latents), len(LIMBS)), np.float32)
    for bucket in latents.layout.buckets:
        rows = latents.rows_of(bucket)
        of_bucket_BK3 = keypoints_RK3[torch.from_numpy(rows)]
        limbs = limb_lengths(of_bucket_BK3[..., :2], of_bucket_BK3[..., 2], bucket.width / bucket.height)
        lengths_RM[rows], weights_RM[rows] = (part.numpy() for part in limbs)
    return lengths_RM, weights_RM
