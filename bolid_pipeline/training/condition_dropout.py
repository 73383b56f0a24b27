"""Dropout of the conditions of training samples, so that every subset of them works at inference."""

from dataclasses import dataclass

import torch

from bolid_pipeline.training.config import DropoutConfig
from bolid_pipeline.training.randomness import StepRandomness


@dataclass(frozen=True)
class KeptConditions:
    """One bool per sample and condition: True if the model sees the caption, the reference photo or the body."""

    text_B: torch.Tensor
    ref_B: torch.Tensor
    body_B: torch.Tensor

    def knows_person(self) -> torch.Tensor:
        """(B,) bool: True if the model sees who the sample shows; only then can it be expected to draw that body."""
        return self.ref_B | self.body_B

    def first(self, count: int | None) -> "KeptConditions":
        """The conditions of the first `count` samples, or of all."""
        return KeptConditions(self.text_B[:count], self.ref_B[:count], self.body_B[:count])


def draw_kept_conditions(
    num_samples: int, config: DropoutConfig, randomness: StepRandomness
) -> KeptConditions:
    """Drop text, reference and body independently at their rates, and then all three at theirs."""
    is_bare_B = randomness.uniform(num_samples) < config.all
    chances = randomness.uniform(num_samples, 3).unbind(1)
    rates = (config.text, config.ref, config.body)
    text_B, ref_B, body_B = (
        ~((chance_B < rate) | is_bare_B) for chance_B, rate in zip(chances, rates, strict=True)
    )
    return KeptConditions(text_B, ref_B, body_B)
