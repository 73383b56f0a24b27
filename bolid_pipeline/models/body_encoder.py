"""The variational set encoder: the weighted body latents of 1..N views of a person -> c_body.

A view is one photo of the person. Each view is read at its 17 keypoints, which gives one token each; an 18th token
holds the lengths of its limbs. The tokens of the same keypoint attend to each other across the views and are averaged,
weighted by how surely each view shows that keypoint. c_body is read from these 18 tokens in one of two ways: as one
vector from all of them (the thesis' *vector*), or in four quarters, each from the tokens of one keypoint group (head,
torso, arms, legs), which the body branch takes as tokens of their own (*dense*).

Why at the keypoints: on the demo's latents, people are told apart more than twice as often by the weighted latents at
the keypoints as by the whole grid (benchmarks/body_encoder_inputs.py).

Shape suffixes: B people, N views, C latent channels, H W latent rows and columns, G side of the view grid, D c_body,
K keypoints, L limbs, U width of a token, F features of a grid cell.
"""

import math
from dataclasses import dataclass

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention import BasicTransformerBlock
from torch import nn
from torch.nn import functional as F

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.pose.distances import squared_distances
from bolid_pipeline.pose.skeleton import EDGES, GROUPS, NUM_KEYPOINTS

KEYPOINT_SIGMA_FRACTION = 1 / 32
"""Width of a keypoint's Gaussian as a fraction of the view grid's side: half a cell in a grid of 16."""

_FIRST_LOGVAR = -6.0  # the encoder starts nearly deterministic: standard deviation 0.05


@dataclass(frozen=True)
class BodyPosterior:
    """A diagonal normal distribution over c_body. A person without views has zero mean and unit variance."""

    mean_BD: torch.Tensor
    logvar_BD: torch.Tensor
    has_views_B: torch.Tensor

    def sample(self, noise_BD: torch.Tensor) -> torch.Tensor:
        """Turn standard normal noise into c_body (B, D); it is zero for a person without views."""
        c_body_BD = self.mean_BD + torch.exp(0.5 * self.logvar_BD) * noise_BD.to(self.mean_BD)
        return c_body_BD * self.has_views_B[:, None]

    def kl(self) -> torch.Tensor:
        """KL divergence from the standard normal (arXiv 1312.6114, appendix B), a scalar in nats per element.

        It is the mean over people with views, and 0 without any.
        """
        kl_BD = 0.5 * (self.mean_BD.square() + self.logvar_BD.exp() - 1 - self.logvar_BD)
        kl_B = kl_BD.float().mean(1)
        return (kl_B * self.has_views_B).sum() / self.has_views_B.sum().clamp_min(1)


def num_view_channels(latent_channels: int) -> int:
    """Number of channels of a view grid: the latent's, one that marks the picture, one per keypoint."""
    return latent_channels + 1 + NUM_KEYPOINTS


def to_view_grid(latents_BCHW: torch.Tensor, keypoints_BK3: torch.Tensor, grid: int) -> torch.Tensor:
    """Letterbox body latents of one bucket into square grids, so that views of all buckets stack.

    The longer side is average-pooled to `grid` cells, the shorter one in proportion and padded with zeros on both
    sides. One more channel marks the cells that hold the picture. One channel per keypoint marks its place by a
    Gaussian that sums up to the keypoint's confidence, minus the part that falls outside the picture.

    Args:
        latents_BCHW: body latents, of any floating dtype; or one, (C, H, W).
        keypoints_BK3: (B, 17, 3): x, y in [0, 1] of the picture, confidence in [0, 1], 0 for an invisible one; or
            those of the one latent, (17, 3).
        grid: G.

    Returns:
        (B, C + 1 + 17, G, G) of the latents' dtype; or one grid, without B.
    """
    height, width = latents_BCHW.shape[-2:]
    rows, columns = (max(1, round(grid * side / max(height, width))) for side in (height, width))
    pooled = F.adaptive_avg_pool2d(latents_BCHW.float(), (rows, columns))
    maps = _keypoint_maps(keypoints_BK3.float(), rows, columns, KEYPOINT_SIGMA_FRACTION * grid)
    views = torch.cat([pooled, torch.ones_like(pooled[..., :1, :, :]), maps], dim=-3).to(latents_BCHW.dtype)
    top, left = (grid - rows) // 2, (grid - columns) // 2
    return F.pad(views, (left, grid - columns - left, top, grid - rows - top))


def _keypoint_maps(keypoints_BK3: torch.Tensor, rows: int, columns: int, sigma_cells: float) -> torch.Tensor:
    """(..., K, rows, columns), >= 0: a Gaussian round each keypoint that sums up to its confidence."""
    squared_BKHW = squared_distances(keypoints_BK3, rows, columns)
    density_BKHW = torch.exp(-squared_BKHW / (2 * sigma_cells**2)) / (2 * math.pi * sigma_cells**2)
    return keypoints_BK3[..., 2].clamp(0, 1)[..., None, None] * density_BKHW


class BodyEncoder(ModelMixin, ConfigMixin):
    """Views of a person -> mean and log-variance of c_body.

    Views carry no position, so their order changes nothing. A view of weight 0 is padding and changes nothing either.

    Args:
        latent_channels: C of the base model's autoencoder.
        scaling_factor: the autoencoder's; latents come in unscaled, as the latent table stores them.
        grid: G, cells along the longer side of a view; best that of the latents.
        width: U, channels of a token, a multiple of 4.
        num_layers: self-attention blocks across the views.
        num_heads: heads of each; divides `width`.
        c_body_dim: D, length of the identity vector (756 in the thesis).
        num_dense_tokens: None for the thesis' vector; T for the dense mode, a multiple of 4 that divides `c_body_dim`.

    Raises:
        ConfigurationError: `num_dense_tokens` does not fit.
    """

    @register_to_config
    def __init__(
        self,
        *,
        latent_channels: int = 4,
        scaling_factor: float = 0.18215,  # noqa: ARG002 - read from the configuration
        grid: int = 16,  # noqa: ARG002 - likewise
        width: int = 256,
        num_layers: int = 2,
        num_heads: int = 4,
        c_body_dim: int = 756,
        num_dense_tokens: int | None = None,
    ) -> None:
        super().__init__()
        if num_dense_tokens is not None and (num_dense_tokens % len(GROUPS) or c_body_dim % num_dense_tokens):
            raise ConfigurationError(
                f"num_dense_tokens must be a multiple of {len(GROUPS)} that divides c_body_dim={c_body_dim}, "
                f"not {num_dense_tokens}"
            )
        self.stem = nn.Sequential(
            nn.Conv2d(latent_channels + 1, width // 4, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width // 4, width // 4, 3, padding=1),
            nn.GELU(),
        )
        self.to_token = nn.Linear(latent_channels + width // 4, width)
        self.keypoint_KU = nn.Parameter(torch.randn(NUM_KEYPOINTS, width) / math.sqrt(width))
        self.limbs_to_token = nn.Sequential(
            nn.Linear(2 * len(EDGES), width), nn.GELU(), nn.Linear(width, width)
        )
        self.blocks = nn.ModuleList(
            [BasicTransformerBlock(width, num_heads, width // num_heads) for _ in range(num_layers)]
        )
        self.norm = nn.LayerNorm(width)
        parts = [tuple(range(NUM_KEYPOINTS))] if num_dense_tokens is None else list(GROUPS.values())
        self._tokens_of_part = [(*keypoints, NUM_KEYPOINTS) for keypoints in parts]  # the last: limbs
        self.to_mean = self._heads(width, c_body_dim)
        self.to_logvar = self._heads(width, c_body_dim)
        for name, parameter in self.to_logvar.named_parameters():
            nn.init.constant_(parameter, _FIRST_LOGVAR if name.endswith("bias") else 0.0)

    def forward(self, views_BNCGG: torch.Tensor, weights_BN: torch.Tensor) -> BodyPosterior:
        """Encode the views of B people.

        Args:
            views_BNCGG: view grids of `to_view_grid`.
            weights_BN: weight of each view, >= 0 (the confidence of its keypoints); 0 marks padding.

        Raises:
            ValueError: the shapes do not fit each other or the configuration.
        """
        self._check_shapes(views_BNCGG, weights_BN)
        views_BNCGG, weights_BN = views_BNCGG.to(self.dtype), weights_BN.to(self.dtype)
        channels = self.config.latent_channels
        picture_BNCGG, maps_BNKGG = views_BNCGG[:, :, : channels + 1], views_BNCGG[:, :, channels + 1 :]
        shown_BNK = maps_BNKGG.sum((-1, -2))
        tokens_BNKU = torch.cat(
            [
                self._keypoint_tokens(picture_BNCGG, maps_BNKGG, shown_BNK),
                self.limbs_to_token(_limbs(maps_BNKGG, shown_BNK))[:, :, None],
            ],
            dim=2,
        )
        weights_BNK = weights_BN[..., None] * F.pad(shown_BNK, (0, 1), value=1.0)
        tokens_BKU = self._across_views(tokens_BNKU, weights_BNK)
        has_views_B = weights_BN.sum(1) > 0
        keep_B1 = has_views_B[:, None]
        return BodyPosterior(
            mean_BD=self._read(self.to_mean, tokens_BKU) * keep_B1,
            logvar_BD=self._read(self.to_logvar, tokens_BKU).clamp(-12.0, 4.0) * keep_B1,
            has_views_B=has_views_B,
        )

    def _keypoint_tokens(
        self, picture_BNCGG: torch.Tensor, maps_BNKGG: torch.Tensor, shown_BNK: torch.Tensor
    ) -> torch.Tensor:
        """(B, N, K, U): tokens of the latents at each keypoint and around it."""
        latents_MCGG, is_picture_M1GG = picture_BNCGG.flatten(0, 1).split([self.config.latent_channels, 1], 1)
        latents_MCGG = latents_MCGG * self.config.scaling_factor
        around_MFGG = self.stem(torch.cat([latents_MCGG, is_picture_M1GG], 1))
        features_BNFGG = torch.cat([latents_MCGG, around_MFGG], 1).unflatten(0, shown_BNK.shape[:2])
        summed_BNKF = torch.einsum("bnkyx,bnfyx->bnkf", maps_BNKGG, features_BNFGG)
        return self.to_token(summed_BNKF / shown_BNK[..., None].clamp_min(1e-4)) + self.keypoint_KU

    def _across_views(self, tokens_BNKU: torch.Tensor, weights_BNK: torch.Tensor) -> torch.Tensor:
        """(B, K + 1, U): the tokens of each keypoint after self-attention across the views, averaged by weight."""
        num_people = len(tokens_BNKU)
        tokens_MNU = tokens_BNKU.transpose(1, 2).flatten(0, 1)
        weights_MN = weights_BNK.transpose(1, 2).flatten(0, 1)
        bias_M1N = attention_bias(weights_MN)[:, None, :]
        for block in self.blocks:
            tokens_MNU = block(tokens_MNU, attention_mask=bias_M1N)
        share_MN = weights_MN / weights_MN.sum(1, keepdim=True).clamp_min(1e-8)
        mean_MU = (self.norm(tokens_MNU) * share_MN[..., None]).sum(1)
        return mean_MU.unflatten(0, (num_people, -1))

    def _heads(self, width: int, c_body_dim: int) -> nn.ModuleList:
        """Make the layers that read c_body: one over all tokens, or one per keypoint group over its own."""
        part_dim = c_body_dim // len(self._tokens_of_part)
        return nn.ModuleList([nn.Linear(len(tokens) * width, part_dim) for tokens in self._tokens_of_part])

    def _read(self, heads: nn.ModuleList, tokens_BKU: torch.Tensor) -> torch.Tensor:
        """(B, D): the outputs of the heads, concatenated."""
        tokens = tokens_BKU.unbind(
            1
        )  # an index by a list would be copied to the device, and a step would wait
        parts = zip(heads, self._tokens_of_part, strict=True)
        return torch.cat(
            [head(torch.cat([tokens[each] for each in part], dim=1)) for head, part in parts], dim=1
        )

    def _check_shapes(self, views_BNCGG: torch.Tensor, weights_BN: torch.Tensor) -> None:
        channels, grid = num_view_channels(self.config.latent_channels), self.config.grid
        if weights_BN.ndim != 2 or views_BNCGG.shape != (*weights_BN.shape, channels, grid, grid):
            raise ValueError(
                f"views {tuple(views_BNCGG.shape)} and weights {tuple(weights_BN.shape)} do not fit: views must be "
                f"(B, N, {channels}, {grid}, {grid}) and weights (B, N)"
            )


def _limbs(maps_BNKGG: torch.Tensor, shown_BNK: torch.Tensor) -> torch.Tensor:
    """(B, N, 2 L): log length of each limb over the view's mean limb, 0 if hidden, and how surely the view shows it."""
    cells_G = torch.arange(maps_BNKGG.shape[-1], device=maps_BNKGG.device, dtype=maps_BNKGG.dtype)
    total_BNK = shown_BNK.clamp_min(1e-4)
    x_BNK = (maps_BNKGG.sum(-2) * cells_G).sum(-1) / total_BNK
    y_BNK = (maps_BNKGG.sum(-1) * cells_G).sum(-1) / total_BNK
    (x1_BNL, x2_BNL), (y1_BNL, y2_BNL), (shown1_BNL, shown2_BNL) = map(_ends, (x_BNK, y_BNK, shown_BNK))
    dx_BNL, dy_BNL = x1_BNL - x2_BNL, y1_BNL - y2_BNL
    length_BNL = (dx_BNL.square() + dy_BNL.square()).clamp_min(1e-2).sqrt()
    shown_BNL = shown1_BNL * shown2_BNL
    mean_BN1 = (length_BNL * shown_BNL).sum(-1, keepdim=True) / shown_BNL.sum(-1, keepdim=True).clamp_min(
        1e-4
    )
    log_ratio_BNL = (length_BNL / mean_BN1.clamp_min(1e-2)).log() * (shown_BNL > 0)
    return torch.cat([log_ratio_BNL.clamp(-3, 3), shown_BNL], dim=-1)


def _ends(of_keypoints_BNK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, N, L): both ends of each limb."""
    keypoints = of_keypoints_BNK.unbind(-1)
    first, second = (torch.stack([keypoints[end] for end in ends], -1) for ends in zip(*EDGES, strict=True))
    return first, second


def attention_bias(weights: torch.Tensor) -> torch.Tensor:
    """log(weight) for attention scores: a key of half the weight gets half the attention, one of weight 0 gets none.

    Args:
        weights: (..., keys), >= 0.

    Returns:
        The shape of `weights`. A row of zero weights gets a bias of 0, which keeps its softmax finite.
    """
    bias = torch.where(weights > 0, weights.clamp_min(1e-8).log(), -math.inf)
    return bias.where((weights > 0).any(-1, keepdim=True), torch.zeros_like(weights))
