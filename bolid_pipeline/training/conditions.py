"""The conditions of samples: text, reference photo, body. Dropped ones are the empty prompt and zeros.

Shape suffixes: B batch, C latent channels, H W latent rows and columns, D features.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from bolid_pipeline.models import adapters
from bolid_pipeline.models.text import EncodedText


@dataclass(frozen=True)
class Conditions:
    """Texts, CLIP embedding of the reference photo (B, D), c_body (B, D), and the picture size that SDXL is told."""

    text: EncodedText
    ref_BD: torch.Tensor
    body_BD: torch.Tensor
    height_px: int
    width_px: int

    def detach(self) -> "Conditions":
        """The same conditions without gradient."""
        return replace(self, ref_BD=self.ref_BD.detach(), body_BD=self.body_BD.detach())

    def text_only(self) -> "Conditions":
        """The same texts without reference and body, which gives the frozen base model."""
        return replace(self, ref_BD=torch.zeros_like(self.ref_BD), body_BD=torch.zeros_like(self.body_BD))


def predict(
    unet: Any,
    noisy_BCHW: torch.Tensor,
    timesteps_B: torch.Tensor,
    conditions: Conditions,
    *,
    run: Callable[..., Any] | None = None,
) -> torch.Tensor:
    """The U-Net's prediction for noisy latents under conditions, (B, C, H, W).

    Args:
        unet: the U-Net with both branches attached.
        noisy_BCHW: noisy latents.
        timesteps_B: their noise levels.
        conditions: what they are to show.
        run: runs the U-Net, such as its compiled form; None for the U-Net itself.
    """
    text = EncodedText(
        conditions.text.hidden_BLD.to(unet.dtype),
        None if conditions.text.pooled_BD is None else conditions.text.pooled_BD.to(unet.dtype),
    )
    embeds = [
        adapters.ref_embeds(unet, conditions.ref_BD),
        adapters.body_embeds(unet, conditions.body_BD),
    ]
    return (unet if run is None else run)(
        noisy_BCHW.to(unet.dtype).contiguous(),
        timesteps_B,
        text.hidden_BLD,
        added_cond_kwargs={
            "image_embeds": embeds,
            **text.added_conditions(conditions.height_px, conditions.width_px),
        },
    ).sample
