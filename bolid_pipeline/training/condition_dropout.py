"""Which conditions each training sample keeps, so that every subset of them works at inference."""

from dataclasses import dataclass

import torch

from bolid_pipeline.training.config import TrainingConfig


@dataclass(frozen=True)
class KeptConditions:
    """Booleans, one a sample: whether its caption, reference photo and body are shown to the model."""

    text_B: torch.Tensor
    ref_B: torch.Tensor
    body_B: torch.Tensor


def draw_kept_conditions(
    batch_size: int, config: TrainingConfig, generator: torch.Generator
) -> KeptConditions:
    """Drop text, reference, body, or all three: one of these for a sample, at the configured rates."""
    rates = torch.tensor([config.drop_text, config.drop_ref, config.drop_body, config.drop_all])
    ends = rates.cumsum(0)
    fate_B = torch.searchsorted(ends, torch.rand(batch_size, generator=generator), right=True)
    is_bare_B = fate_B == 3
    text_B, ref_B, body_B = (~((fate_B == condition) | is_bare_B) for condition in range(3))
    return KeptConditions(text_B, ref_B, body_B)
