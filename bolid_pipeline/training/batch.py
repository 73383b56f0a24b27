"""The input of a training step.

Shape suffixes: B batch, C latent channels, H W latent rows and columns, E text encoders, W windows of a caption,
T positions of a window, D features, N views, G side of the body encoder's view grid, K keypoints, M limbs.
"""

from typing import Any, NotRequired, TypedDict, cast

import torch


class Batch(TypedDict):
    """One training batch; latents are unscaled, weights are 0 for padded views and photos."""

    step: int
    latents_BCHW: torch.Tensor
    token_ids_BEWT: torch.Tensor
    """The captions for the text encoders of the base model (see `models.text.tokenize`)."""
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
    clip_token_ids_BT: NotRequired[torch.Tensor]
    """The captions for the CLIP of L_CLIP, where L_CLIP has a weight."""


def pinned(batch: Batch) -> Batch:
    """The batch in page-locked memory, from which a GPU copies while the CPU goes on."""
    whole: Any = batch
    return cast(
        "Batch",
        {
            name: value.pin_memory() if isinstance(value, torch.Tensor) else value
            for name, value in whole.items()
        },
    )
