"""From a batch to the conditions of its samples: bodies encoded and sampled, some conditions dropped.

Shape suffixes: B samples, E text encoders, W windows of a caption, T positions of a window, N photos, D features.
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

    def draw(self, batch: Batch, randomness: StepRandomness, count: int | None = None) -> DrawnConditions:
        """Conditions of the first `count` samples, or of all, with gradient.

        The body's sample and the dropout come from the given randomness alone; a sample's do not depend on `count`.
        """
        num_samples, taken = len(batch["latents_BCHW"]), slice(count)
        posterior = self._branches.body_encoder(batch["views_BNCGG"][taken], batch["weights_BN"][taken])
        c_body_BD = posterior.sample(randomness.normal(num_samples, posterior.mean_BD.shape[1])[taken])
        kept = draw_kept_conditions(num_samples, self._dropout, randomness).first(count)
        height, width = batch["latents_BCHW"].shape[-2:]
        conditions = Conditions(
            self._text(batch["token_ids_BEWT"][taken], kept.text_B),
            self._ref(batch["refs_BND"][taken], batch["ref_weights_BN"][taken]) * kept.ref_B[:, None],
            c_body_BD * kept.body_B[:, None],
            height * self._pixels_per_latent,
            width * self._pixels_per_latent,
        )
        return DrawnConditions(conditions, kept, posterior.kl())

    def _text(self, token_ids_BEWT: torch.Tensor, is_kept_B: torch.Tensor) -> EncodedText:
        """The captions, the empty prompt in place of dropped ones."""
        text, empty = self._texts(token_ids_BEWT), self._texts.empty(token_ids_BEWT.shape[2])
        pooled_BD = text.pooled_BD
        if pooled_BD is not None and empty.pooled_BD is not None:
            pooled_BD = torch.where(is_kept_B[:, None], pooled_BD, empty.pooled_BD)
        return EncodedText(
            torch.where(is_kept_B[:, None, None], text.hidden_BLD, empty.hidden_BLD), pooled_BD
        )

    def _ref(self, refs_BND: torch.Tensor, weights_BN: torch.Tensor) -> torch.Tensor:
        """(B, D): the embedding of the reference photo, or what the reference encoder makes of several photos."""
        if self._branches.ref_encoder is None:
            return refs_BND[:, 0]
        return self._branches.ref_encoder(refs_BND, weights_BN)
