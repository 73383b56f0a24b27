"""Every number of a training run. This module imports nothing heavy: Dagster reads it when definitions load."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from bolid_pipeline.errors import ConfigurationError

_PROBABILITIES = ("drop_text", "drop_ref", "drop_body", "drop_all", "heldout_fraction", "ema_decay")
_POSITIVE = ("steps", "batch_size", "max_views", "num_body_tokens", "c_body_dim", "learning_rate")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How the branches are trained; the base model decides resolution and architecture.

    Attributes:
        steps: optimiser steps.
        batch_size: target photos per step, all of one aspect bucket.
        learning_rate: peak of AdamW's rate, reached after the warm-up, then a cosine down to 0.
        warmup_steps: steps of linear warm-up.
        weight_decay: AdamW's.
        max_grad_norm: gradients are clipped to this norm.
        drop_text: probability that a sample trains with the empty prompt in place of its caption.
        drop_ref: probability that a sample trains without its reference photo.
        drop_body: probability that a sample trains without its body.
        drop_all: probability of all three at once. Such a sample is exactly the frozen base model (see
            `models.adapters`) and teaches nothing, so 0 loses nothing.
        kl_weight: weight of the body encoder's KL term, nats per element of c_body.
        min_snr_gamma: gamma of the min-SNR weighting (arXiv 2303.09556); None weighs all timesteps alike.
        max_views: a sample's body is encoded from 1 to this many other photos of the person.
        num_body_tokens: tokens that c_body is projected to.
        c_body_dim: length of c_body (756 in the thesis).
        encoder_grid: cells along the longer side of a body latent, as the body encoder sees it; a multiple of 4.
        encoder_width: channels of the body encoder.
        encoder_layers: self-attention blocks of the body encoder.
        ema_decay: highest decay of the running mean of the trained weights, which is what gets saved.
        heldout_fraction: share of every person's photos that is never trained on, for the evaluation.
        precision: "auto" is bf16-mixed on a GPU and float32 elsewhere.
        gradient_checkpointing: recompute the U-Net's activations instead of keeping them.
        seed: of new weights, batches, noise and dropout.
    """

    steps: int
    batch_size: int
    learning_rate: float = 1e-4
    warmup_steps: int = 0
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    drop_text: float = 0.05
    drop_ref: float = 0.05
    drop_body: float = 0.05
    drop_all: float = 0.05
    kl_weight: float = 1e-4
    min_snr_gamma: float | None = 5.0
    max_views: int = 4
    num_body_tokens: int = 4
    c_body_dim: int = 756
    encoder_grid: int = 16
    encoder_width: int = 256
    encoder_layers: int = 2
    ema_decay: float = 0.9999
    heldout_fraction: float = 0.1
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    gradient_checkpointing: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers outside their range.

        Raises:
            ConfigurationError: naming the field and its value.
        """
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} must be positive, not {getattr(self, name)}")
        for name in _PROBABILITIES:
            if not 0 <= getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be in [0, 1), not {getattr(self, name)}")
        if self.drop_text + self.drop_ref + self.drop_body + self.drop_all > 1:
            raise ConfigurationError("drop_text, drop_ref, drop_body and drop_all may add up to 1 at most")
        if self.encoder_grid % 4:
            raise ConfigurationError(f"encoder_grid must be a multiple of 4, not {self.encoder_grid}")

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON can hold them."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields_json: dict[str, Any]) -> "TrainingConfig":
        """The inverse of `to_json`.

        Raises:
            ConfigurationError: a field that this version does not know.
        """
        unknown = set(fields_json) - {field.name for field in fields(cls)}
        if unknown:
            raise ConfigurationError(f"unknown training settings: {', '.join(sorted(unknown))}")
        return cls(**fields_json)


def demo() -> TrainingConfig:
    """About a minute and a half on two cores: 64 px, a few people.

    The reference is dropped often, because the demo draws from text. All noise levels weigh alike, as they did when
    the small base model learned to predict v: min-SNR would leave little weight where a body's outline is decided.
    """
    return TrainingConfig(
        steps=300,
        batch_size=16,
        learning_rate=1e-3,
        warmup_steps=10,
        drop_ref=0.5,
        drop_all=0.0,
        min_snr_gamma=None,
        ema_decay=0.98,
        encoder_width=128,
    )


def sd15() -> TrainingConfig:
    """Stable Diffusion 1.5 at 512 px on one large GPU, the thesis' dropout."""
    return TrainingConfig(steps=50_000, batch_size=32, warmup_steps=1000, gradient_checkpointing=True)
