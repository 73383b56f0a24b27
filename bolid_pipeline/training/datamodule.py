"""Batches for training, from cached latents and captions that are encoded once: no photo is decoded here.

Shape suffixes: B batch, C latent channels, H W latent rows and columns, L text positions, D features, N views,
G side of the body encoder's view grid.
"""

from collections.abc import Iterator, Mapping
from typing import TypedDict

import lightning
import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from bolid_pipeline.errors import ForeignLatents, NotEnoughData
from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.models.text import count_windows, encode_prompts
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.sampling import BatchSampler, split_rows
from bolid_pipeline.training.views import BodyViews

_PROMPTS_PER_CALL = 64


class Batch(TypedDict):
    """One training batch; latents are unscaled, weights are 0 for padded views."""

    latents_BCHW: torch.Tensor
    text_BLD: torch.Tensor
    ref_BD: torch.Tensor
    views_BNCGG: torch.Tensor
    weights_BN: torch.Tensor


class TextEmbeddings:
    """Captions of all rows, encoded once by the frozen text encoder and kept in memory as float16."""

    def __init__(self, captions: list[str], base: StableDiffusionPipeline) -> None:
        texts = sorted({*captions, ""})
        num_windows = count_windows(texts, base.tokenizer)
        encoded = [
            encode_prompts(
                texts[i : i + _PROMPTS_PER_CALL], base.tokenizer, base.text_encoder, num_windows=num_windows
            )
            for i in range(0, len(texts), _PROMPTS_PER_CALL)
        ]
        self._texts_TLD = torch.cat(encoded).half().cpu()
        self._row_of_text = {text: row for row, text in enumerate(texts)}
        self.empty_LD = self.gather([""])[0]

    def gather(self, captions: list[str]) -> torch.Tensor:
        """(B, L, D) float16."""
        return self._texts_TLD[[self._row_of_text[caption] for caption in captions]]


class BoLIDDataModule(lightning.LightningDataModule):
    """The training batches of a latent table, a function of the configuration's seed and the step.

    Args:
        config: sizes, seed and held-out share.
        latents: the latent table.
        captions: caption of each photo id.
        base: the base model; its text encoder encodes the captions here, once.

    Raises:
        ForeignLatents: the latents do not fit the base model's autoencoder or image encoder.
        NotEnoughData: no rows, or a row without a caption.
    """

    def __init__(
        self,
        config: TrainingConfig,
        latents: LatentTable,
        captions: Mapping[str, str],
        base: StableDiffusionPipeline,
    ) -> None:
        super().__init__()
        check_latents(latents, base)
        self.latents = latents
        self.captions = _captions_of_rows(latents, captions)
        self.text = TextEmbeddings(self.captions, base)
        self.views = BodyViews(latents, config.encoder_grid)
        self.train_rows, self.heldout_rows = split_rows(
            latents.photo_ids, latents.identities, config.heldout_fraction
        )
        self._num_steps = config.steps
        self._sampler = BatchSampler(
            latents.identities,
            [latents.bucket(row) for row in range(len(latents))],
            self.train_rows,
            batch_size=config.batch_size,
            max_views=config.max_views,
            seed=config.seed,
        )

    def train_dataloader(self) -> "TrainingBatches":
        """One pass: a batch a step."""
        return TrainingBatches(self, self._num_steps)

    def batch(self, step: int) -> Batch:
        """The batch of a step: row lookups only, so that no worker process is needed."""
        plan = self._sampler.plan(step)
        views_BNCGG, weights_BN = self.views.gather(plan.view_BN)
        return Batch(
            latents_BCHW=torch.from_numpy(np.stack([self.latents.latent(row) for row in plan.target_B])),
            text_BLD=self.text.gather([self.captions[row] for row in plan.target_B]),
            ref_BD=torch.from_numpy(self.latents.image_embeds[plan.reference_B]),
            views_BNCGG=views_BNCGG,
            weights_BN=weights_BN,
        )


class TrainingBatches:
    """The batches of all steps, in order; a plain iterable in place of a DataLoader, which would only add copies."""

    def __init__(self, data: BoLIDDataModule, num_steps: int) -> None:
        self._data = data
        self._num_steps = num_steps

    def __len__(self) -> int:
        """Number of steps."""
        return self._num_steps

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of steps 0, 1, ..."""
        return map(self._data.batch, range(self._num_steps))


def check_latents(latents: LatentTable, base: StableDiffusionPipeline) -> None:
    """Refuse latents that the base model cannot have made.

    Raises:
        ForeignLatents: naming what differs: channels, scaling factor, or length of the image embedding.
        NotEnoughData: the table is empty.
    """
    if not len(latents):
        raise NotEnoughData("the latent table is empty: run the data set's stages first")
    found = {
        "latent channels": latents.latent(0).shape[0],
        "scaling factor": round(latents.layout.scaling_factor, 6),
    }
    expected = {
        "latent channels": base.vae.config.latent_channels,
        "scaling factor": round(base.vae.config.scaling_factor, 6),
    }
    if base.image_encoder is not None:
        found["image embedding"] = latents.layout.image_embed_dim
        expected["image embedding"] = base.image_encoder.config.projection_dim
    for what, value in expected.items():
        if found[what] != value:
            raise ForeignLatents(
                f"the latents were made by another model: their {what} is {found[what]}, the base model's {value}; "
                "refresh the latents with this base model"
            )


def _captions_of_rows(latents: LatentTable, captions: Mapping[str, str]) -> list[str]:
    missing = [photo_id for photo_id in latents.photo_ids if photo_id not in captions]
    if missing:
        raise NotEnoughData(f"{len(missing)} photos have latents but no caption, {missing[0]} for one")
    return [captions[photo_id] for photo_id in latents.photo_ids]
