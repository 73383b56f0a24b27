"""The input of a training step.

Shape suffixes: B batch, C latent channels, H W latent rows and columns, L text positions, D features, N views,
G side of the body encoder's view grid, K keypoints, M limbs.
"""

from typing import Any, NotRequired, TypedDict, cast

import torch


class Batch(TypedDict):
    """One training batch; latents are unscaled, weights are 0 for padded views and photos."""

    step: int
    latents_BCHW: torch.Tensor
    text_BLD: torch.Tensor
    refs_BND: torch.Tensor
    """CLIP embeddings of the reference photos: one photo, or with a reference encoder the photos of the views."""
    ref_weights_BN: torch.Tensor
    views_BNCGG: torch.Tensor
    weights_BN: torch.Tensor
    keypoints_BK3: torch.Tensor
    """Keypoints of the target photo: x, y in [0, 1], confidence."""
    proportions_BM: torch.Tensor
    """Log proportions of the person."""
    proportion_weights_BM: torch.Tensor
    """Certainty of each proportion, in [0, 1]."""
    pooled_text_BD: NotRequired[torch.Tensor]
    """Pooled text embedding, for SDXL."""
    clip_text_BD: NotRequired[torch.Tensor]
    """The caption as encoded by the CLIP of L_CLIP, where L_CLIP has a weight."""


def samples_of(batch: Batch, rank: int, num_processes: int) -> Batch:
    """The part of a batch that belongs to one process: samples rank, rank + num_processes, ..."""
    whole: Any = batch
    own = slice(rank, None, num_processes)
    parts = {name: value[own] if isinstance(value, torch.Tensor) else value for name, value in whole.items()}
    return cast("Batch", parts)
