"""The variational set encoder: the weighted body latents of 1..N views of a person -> c_body.

Shape suffixes: B people, N views, C latent channels, H W latent rows and columns, G side of the view grid, D c_body.
"""

import math
from dataclasses import dataclass

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention import BasicTransformerBlock
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class BodyPosterior:
    """A diagonal normal distribution over c_body; zero mean and unit variance where a person has no view."""

    mean_BD: torch.Tensor
    logvar_BD: torch.Tensor
    has_views_B: torch.Tensor

    def sample(self, generator: torch.Generator | None = None) -> torch.Tensor:
        """Draw c_body (B, D); zero where a person has no view. The generator lives on the CPU."""
        noise_BD = torch.randn(self.mean_BD.shape, generator=generator).to(self.mean_BD)
        c_body_BD = self.mean_BD + torch.exp(0.5 * self.logvar_BD) * noise_BD
        return c_body_BD * self.has_views_B[:, None]


def to_view_grid(latent_CHW: torch.Tensor, grid: int) -> torch.Tensor:
    """Letterbox one body latent of any bucket into a square grid, so that views of all shapes stack.

    The longer side is average-pooled to `grid` cells, the shorter one in proportion and padded with zeros on both
    sides; one more channel says which cells hold the picture.

    Returns:
        (C + 1, G, G) of the latent's dtype.
    """
    height, width = latent_CHW.shape[-2:]
    rows, columns = (max(1, round(grid * side / max(height, width))) for side in (height, width))
    pooled = F.adaptive_avg_pool2d(latent_CHW.float(), (rows, columns)).to(latent_CHW.dtype)
    with_mask = torch.cat([pooled, torch.ones_like(pooled[:1])])
    top, left = (grid - rows) // 2, (grid - columns) // 2
    return F.pad(with_mask, (left, grid - columns - left, top, grid - rows - top))


class BodyEncoder(ModelMixin, ConfigMixin):
    """Views -> one token each -> self-attention across views -> weighted mean -> mean and log-variance of c_body.

    No position is given to a view, so their order changes nothing; a view of weight 0 is padding and changes nothing.

    Args:
        latent_channels: C of the base model's autoencoder.
        scaling_factor: the autoencoder's; latents come in unscaled, as the latent table stores them.
        grid: G, cells along the longer side of a view; a multiple of 4.
        width: channels of a view token.
        num_layers: self-attention blocks.
        num_heads: heads of each; divides `width`.
        c_body_dim: D, length of the identity vector (756 in the thesis).
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 4,
        scaling_factor: float = 0.18215,
        grid: int = 16,
        width: int = 256,
        num_layers: int = 2,
        num_heads: int = 4,
        c_body_dim: int = 756,
    ) -> None:
        super().__init__()
        self._latent_scale = scaling_factor
        self.view_stem = nn.Sequential(
            nn.Conv2d(latent_channels + 1, width // 4, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(width // 4, width // 2, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(width // 2 * (grid // 4) ** 2, width),
        )
        self.blocks = nn.ModuleList(
            [BasicTransformerBlock(width, num_heads, width // num_heads) for _ in range(num_layers)]
        )
        self.norm = nn.LayerNorm(width)
        self.to_mean = nn.Linear(width, c_body_dim)
        self.to_logvar = nn.Linear(width, c_body_dim)
        nn.init.zeros_(self.to_logvar.weight)
        nn.init.constant_(self.to_logvar.bias, -4.0)  # starts nearly deterministic: standard deviation 0.14

    def forward(self, views_BNCGG: torch.Tensor, weights_BN: torch.Tensor) -> BodyPosterior:
        """Encode the views of B people.

        Args:
            views_BNCGG: view grids of `to_view_grid`, C + 1 channels.
            weights_BN: how much each view counts, >= 0 (confidence of its keypoints); 0 marks padding.

        Raises:
            ValueError: the shapes do not fit each other or the configuration.
        """
        self._check_shapes(views_BNCGG, weights_BN)
        has_views_B = weights_BN.sum(1) > 0
        tokens_BNW = self.view_stem(self._scaled(views_BNCGG).flatten(0, 1)).unflatten(0, weights_BN.shape)
        attention_bias_B1N = _attention_bias(weights_BN)[:, None, :]
        for block in self.blocks:
            tokens_BNW = block(tokens_BNW, attention_mask=attention_bias_B1N)
        share_BN = weights_BN / weights_BN.sum(1, keepdim=True).clamp_min(1e-8)
        pooled_BW = self.norm((tokens_BNW * share_BN[..., None]).sum(1))
        keep_B1 = has_views_B[:, None]
        return BodyPosterior(
            mean_BD=self.to_mean(pooled_BW) * keep_B1,
            logvar_BD=self.to_logvar(pooled_BW).clamp(-12.0, 4.0) * keep_B1,
            has_views_B=has_views_B,
        )

    def _scaled(self, views_BNCGG: torch.Tensor) -> torch.Tensor:
        latents, mask = views_BNCGG[:, :, :-1], views_BNCGG[:, :, -1:]
        return torch.cat([latents * self._latent_scale, mask], dim=2).to(self.dtype)

    def _check_shapes(self, views_BNCGG: torch.Tensor, weights_BN: torch.Tensor) -> None:
        grid = self.config.grid
        expected = (*weights_BN.shape, self.config.latent_channels + 1, grid, grid)
        if weights_BN.ndim != 2 or views_BNCGG.shape != expected:
            raise ValueError(
                f"views {tuple(views_BNCGG.shape)} and weights {tuple(weights_BN.shape)} do not fit: views must be "
                f"(B, N, {self.config.latent_channels + 1}, {grid}, {grid}) and weights (B, N)"
            )


def _attention_bias(weights_BN: torch.Tensor) -> torch.Tensor:
    """log(weight) added to the attention scores: a view of half the weight gets half the attention, padding none."""
    return torch.where(weights_BN > 0, weights_BN.clamp_min(1e-8).log(), -math.inf).where(
        (weights_BN > 0).any(1, keepdim=True), torch.zeros_like(weights_BN)
    )
