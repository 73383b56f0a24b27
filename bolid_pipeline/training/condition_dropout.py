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

    def first(self, count: int) -> "KeptConditions":
        """The conditions of the first `count` samples."""
        return KeptConditions(self.text_B[:count], self.ref_B[:count], self.body_B[:count])

    def to(self, device: torch.device) -> "KeptConditions":
        """A copy on a device."""
        return KeptConditions(self.text_B.to(device), self.ref_B.to(device), self.body_B.to(device))


def draw_kept_conditions(
    num_samples: int, config: DropoutConfig, randomness: StepRandomness
) -> KeptConditions:
    """Drop text, reference and body independently at their rates, and then all three at theirs."""
    rates = torch.tensor([config.text, config.ref, config.body])
    is_bare_B = randomness.uniform(num_samples) < config.all
    is_dropped_B3 = randomness.uniform(num_samples, 3) < rates
    text_B, ref_B, body_B = (~(is_dropped_B3 | is_bare_B[:, None])).unbind(1)
    return KeptConditions(text_B, ref_B, body_B)
