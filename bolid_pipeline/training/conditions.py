"""The conditions of samples: text, reference photo, body. Dropped ones are the empty prompt and zeros.

Shape suffixes: B batch, C latent channels, H W latent rows and columns, D features.
"""

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

    def first(self, count: int) -> "Conditions":
        """The conditions of the first `count` samples."""
        pooled_BD = None if self.text.pooled_BD is None else self.text.pooled_BD[:count]
        text = EncodedText(self.text.hidden_BLD[:count], pooled_BD)
        return replace(self, text=text, ref_BD=self.ref_BD[:count], body_BD=self.body_BD[:count])

    def text_only(self) -> "Conditions":
        """The same texts without reference and body, which gives the frozen base model."""
        return replace(self, ref_BD=torch.zeros_like(self.ref_BD), body_BD=torch.zeros_like(self.body_BD))


def predict(
    unet: Any, noisy_BCHW: torch.Tensor, timesteps_B: torch.Tensor, conditions: Conditions
) -> torch.Tensor:
    """The U-Net's prediction for noisy latents under conditions, (B, C, H, W)."""
    text = EncodedText(
        conditions.text.hidden_BLD.to(unet.dtype),
        None if conditions.text.pooled_BD is None else conditions.text.pooled_BD.to(unet.dtype),
    )
    embeds = [
        adapters.ref_embeds(unet, conditions.ref_BD),
        adapters.body_embeds(unet, conditions.body_BD),
    ]
    return unet(
        noisy_BCHW.to(unet.dtype),
        timesteps_B,
        text.hidden_BLD,
        added_cond_kwargs={
            "image_embeds": embeds,
            **text.added_conditions(conditions.height_px, conditions.width_px),
        },
    ).sample
