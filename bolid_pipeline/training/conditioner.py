"""From a batch to the conditions of its samples: bodies encoded and sampled, some conditions dropped.

Shape suffixes: B batch, D features.
"""

from dataclasses import dataclass

import torch

from bolid_pipeline.models.base import BaseModel
from bolid_pipeline.models.text import EncodedText
from bolid_pipeline.training.batch import Batch
from bolid_pipeline.training.branches import Branches
from bolid_pipeline.training.condition_dropout import KeptConditions, draw_kept_conditions
from bolid_pipeline.training.conditions import Conditions
from bolid_pipeline.training.config import DropoutConfig
from bolid_pipeline.training.randomness import StepRandomness
from bolid_pipeline.training.text_encoders import TextEncoders


@dataclass(frozen=True)
class DrawnConditions:
    """The conditions of B samples, which of them were kept, and the KL term of the body encoder (a scalar)."""

    conditions: Conditions
    kept: KeptConditions
    kl: torch.Tensor


class Conditioner:
    """Draws the conditions of a batch.

    Args:
        dropout: how often each condition is dropped.
        branches: its encoders make embeddings of the body and of the reference photos.
        base: the base model; its autoencoder says how many pixels a latent cell stands for.
        texts: encodes the captions; the empty prompt takes the place of dropped ones.
    """

    def __init__(
        self,
        dropout: DropoutConfig,
        branches: Branches,
        base: BaseModel,
        texts: TextEncoders,
    ) -> None:
        self._dropout = dropout
        self._branches = branches
        self._pixels_per_latent = 2 ** (len(base.vae.config.block_out_channels) - 1)
        self._texts = texts

    def draw(self, batch: Batch, randomness: StepRandomness) -> DrawnConditions:
        """Conditions with gradient; the body's sample and the dropout come from the given randomness alone."""
        posterior = self._branches.body_encoder(batch["views_BNCGG"], batch["weights_BN"])
        c_body_BD = posterior.sample(randomness.normal(*posterior.mean_BD.shape))
        kept = draw_kept_conditions(len(c_body_BD), self._dropout, randomness)
        height, width = batch["latents_BCHW"].shape[-2:]
        conditions = Conditions(
            self._text(batch, kept.text_B),
            self._ref(batch) * kept.ref_B[:, None],
            c_body_BD * kept.body_B[:, None],
            height * self._pixels_per_latent,
            width * self._pixels_per_latent,
        )
        return DrawnConditions(conditions, kept, posterior.kl())

    def _text(self, batch: Batch, is_kept_B: torch.Tensor) -> EncodedText:
        """The captions, the empty prompt in place of dropped ones."""
        token_ids_BEWT = batch["token_ids_BEWT"]
        text, empty = self._texts(token_ids_BEWT), self._texts.empty(token_ids_BEWT.shape[2])
        pooled_BD = text.pooled_BD
        if pooled_BD is not None and empty.pooled_BD is not None:
            pooled_BD = torch.where(is_kept_B[:, None], pooled_BD, empty.pooled_BD)
        return EncodedText(
            torch.where(is_kept_B[:, None, None], text.hidden_BLD, empty.hidden_BLD), pooled_BD
        )

    def _ref(self, batch: Batch) -> torch.Tensor:
        """(B, D): the embedding of the reference photo, or what the reference encoder makes of several photos."""
        if self._branches.ref_encoder is None:
            return batch["refs_BND"][:, 0]
        return self._branches.ref_encoder(batch["refs_BND"], batch["ref_weights_BN"])
