"""PuLID's alignment terms (arXiv 2404.16022, section 3.3): an identity should hardly change the base model.

From the same noise and prompt, with and without identity, the queries of the cross-attention layers are compared:
`layout` compares the queries themselves, `semantic` what each text position gathers from them.

Shape suffixes: B pictures, S positions of the picture, T text positions, D width, H heads, E width of a head.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch.nn import functional as F


@dataclass
class CrossAttentionRecord:
    """Queries (B, S, D) and text keys (B, T, D) of each cross-attention layer, in the order of the calls."""

    queries: list[torch.Tensor] = field(default_factory=list[torch.Tensor])
    keys: list[torch.Tensor] = field(default_factory=list[torch.Tensor])
    num_heads: list[int] = field(default_factory=list[int])


@contextmanager
def recorded_cross_attention(unet: UNet2DConditionModel, record: CrossAttentionRecord) -> Iterator[None]:
    """Append queries and text keys of all cross-attention layers to `record`, for the length of a `with`."""
    attentions = [module for name, module in unet.named_modules() if name.endswith("attn2")]
    handles: list[Any] = []
    for attention in attentions:
        handles.append(attention.to_q.register_forward_hook(_keep(record, attention.heads)))
        handles.append(attention.to_k.register_forward_hook(lambda *call: record.keys.append(call[2])))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _keep(record: CrossAttentionRecord, num_heads: int) -> Any:
    def hook(*call: Any) -> None:
        record.queries.append(call[2])
        record.num_heads.append(num_heads)

    return hook


def layout_loss(with_identity: CrossAttentionRecord, without: CrossAttentionRecord) -> torch.Tensor:
    """Mean squared difference of the queries, the mean over layers."""
    pairs = zip(with_identity.queries, without.queries, strict=True)
    return torch.stack([F.mse_loss(own.float(), base.float()) for own, base in pairs]).mean()


def semantic_loss(with_identity: CrossAttentionRecord, without: CrossAttentionRecord) -> torch.Tensor:
    """Mean squared difference of what each text position gathers: softmax(K Q' / sqrt(E)) Q, the mean over layers."""
    layers = zip(
        zip(with_identity.queries, with_identity.keys, strict=True),
        zip(without.queries, without.keys, strict=True),
        without.num_heads,
        strict=True,
    )
    differences = [
        F.mse_loss(_gathered(*own, num_heads), _gathered(*base, num_heads)) for own, base, num_heads in layers
    ]
    return torch.stack(differences).mean()


def _gathered(queries_BSD: torch.Tensor, keys_BTD: torch.Tensor, num_heads: int) -> torch.Tensor:
    queries_BHSE, keys_BHTE = (
        states.unflatten(-1, (num_heads, -1)).transpose(1, 2).float() for states in (queries_BSD, keys_BTD)
    )
    return F.scaled_dot_product_attention(keys_BHTE, queries_BHSE, queries_BHSE)
