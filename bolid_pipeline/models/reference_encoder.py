"""Several reference photos of one person as one embedding: the thesis' prototype, self-attention over the views.

Stock IP-Adapter lays the tokens of several photos side by side; this encoder makes one embedding of them first.

Shape suffixes: B people, N photos, D embedding.
"""

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention import BasicTransformerBlock
from torch import nn

from bolid_pipeline.models.body_encoder import attention_bias


class ReferenceEncoder(ModelMixin, ConfigMixin):
    """CLIP image embeddings of N photos -> self-attention across them -> their weighted mean plus a learned change.

    Before training it is the plain mean, because its last layer is zero. Without any photo the embedding is zero.
    Photos carry no position, so their order changes nothing. A photo of weight 0 is padding and changes nothing either.

    Args:
        image_embed_dim: D.
        num_layers: self-attention blocks.
        num_heads: heads of each; divides `image_embed_dim`.
    """

    @register_to_config
    def __init__(self, image_embed_dim: int = 1024, num_layers: int = 1, num_heads: int = 8) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            [
                BasicTransformerBlock(image_embed_dim, num_heads, image_embed_dim // num_heads)
                for _ in range(num_layers)
            ]
        )
        self.to_change = nn.Linear(image_embed_dim, image_embed_dim)
        nn.init.zeros_(self.to_change.weight)
        nn.init.zeros_(self.to_change.bias)

    def forward(self, embeds_BND: torch.Tensor, weights_BN: torch.Tensor) -> torch.Tensor:
        """Make one embedding per person, (B, D).

        Args:
            embeds_BND: CLIP image embeddings.
            weights_BN: weight of each photo, >= 0; 0 marks padding.

        Raises:
            ValueError: the shapes do not fit each other or the configuration.
        """
        if embeds_BND.shape != (*weights_BN.shape, self.config.image_embed_dim):
            raise ValueError(
                f"embeddings {tuple(embeds_BND.shape)} and weights {tuple(weights_BN.shape)} do not fit: they must be "
                f"(B, N, {self.config.image_embed_dim}) and (B, N)"
            )
        embeds_BND, weights_BN = embeds_BND.to(self.dtype), weights_BN.to(self.dtype)
        hidden_BND, bias_B1N = embeds_BND, attention_bias(weights_BN)[:, None, :]
        for block in self.blocks:
            hidden_BND = block(hidden_BND, attention_mask=bias_B1N)
        share_BN1 = (weights_BN / weights_BN.sum(1, keepdim=True).clamp_min(1e-8))[..., None]
        return ((embeds_BND + self.to_change(hidden_BND)) * share_BN1).sum(1)
