"""Batches for training, from cached latents and captions that are encoded once: no photo is decoded here.

Shape suffixes: B batch, C latent channels, H W latent rows and columns, L text positions, D features, N views,
G side of the body encoder's view grid, K keypoints, M limbs, R rows of the table.
"""

import random
from collections.abc import Mapping, Sequence
from functools import cache

import lightning
import numpy as np
import torch
from numpy.typing import NDArray

from bolid_pipeline.errors import ForeignLatents, NotEnoughData
from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.models.base import BaseModel
from bolid_pipeline.models.text import EncodedText, count_windows, empty_text, encode_text
from bolid_pipeline.training.batch import Batch, samples_of
from bolid_pipeline.training.batches_ahead import BatchesAhead
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.losses.clip import ClipSimilarity
from bolid_pipeline.training.losses.proportions import LIMBS, limb_lengths, typical_proportions
from bolid_pipeline.training.sampling import PADDING, BatchSampler, split_rows
from bolid_pipeline.training.views import BodyViews

_PROMPTS_PER_CALL = 64


class TextEmbeddings:
    """Texts, each encoded once by the base model's text encoders and kept in memory as float16."""

    def __init__(self, texts: Sequence[str], base: BaseModel) -> None:
        unique = sorted(set(texts))
        num_windows = count_windows(unique, base.tokenizer)
        parts = [
            encode_text(base, unique[i : i + _PROMPTS_PER_CALL], num_windows=num_windows)
            for i in range(0, len(unique), _PROMPTS_PER_CALL)
        ]
        self._hidden_TLD = torch.cat([part.hidden_BLD for part in parts]).half().cpu()
        pooled = [part.pooled_BD for part in parts if part.pooled_BD is not None]
        self._pooled_TD = torch.cat(pooled).half().cpu() if pooled else None
        self._row_of_text = {text: row for row, text in enumerate(unique)}
        self.empty = empty_text(base, num_windows=num_windows)

    def gather(self, texts: Sequence[str]) -> EncodedText:
        """B texts."""
        rows = [self._row_of_text[text] for text in texts]
        return EncodedText(self._hidden_TLD[rows], None if self._pooled_TD is None else self._pooled_TD[rows])


class BoLIDDataModule(lightning.LightningDataModule):
    """The training batches of a latent table, a function of the configuration's seed and the step.

    Args:
        config: sizes, seed and held-out share.
        latents: the latent table.
        captions: caption of each photo id.
        base: the base model; its text encoder encodes the captions here, once.
        clip: encodes the captions for L_CLIP; None where no term needs it.
        clusters: photo id -> name of its group of near duplicates, for photos that have one.

    Raises:
        ForeignLatents: the latents do not fit the base model's autoencoder or image encoder.
        NotEnoughData: no rows, or a row without a caption.
    """

    def __init__(
        self,
        config: TrainingConfig,
        latents: LatentTable,
        captions: Mapping[str, str],
        base: BaseModel,
        *,
        clip: ClipSimilarity | None = None,
        clusters: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        check_latents(latents, base)
        self.base = base
        self.latents = latents
        self.captions = _captions_of_rows(latents, captions)
        self._variants = [
            caption_variants(caption, config.num_caption_variants, seed=photo_id)
            for photo_id, caption in zip(latents.photo_ids, self.captions, strict=True)
        ]
        self.text = TextEmbeddings([text for variants in self._variants for text in variants], base)
        self._clip_text = None if clip is None else ClipTexts(self.captions, clip)
        self.views = BodyViews(latents, config.body.grid)
        cluster_R = [(clusters or {}).get(photo_id, photo_id) for photo_id in latents.photo_ids]
        self.train_rows, self.heldout_rows = split_rows(
            latents.photo_ids, latents.identities, config.heldout_fraction, cluster_R
        )
        self._proportions = BodyProportions(latents, self.train_rows)
        self._sampler = BatchSampler(
            latents.identities,
            [latents.bucket(row) for row in range(len(latents))],
            self.train_rows,
            batch_size=config.batch_size,
            max_views=config.body.max_views,
            seed=config.seed,
            clusters=cluster_R,
            groups=latents.group_N,
            num_groups_kept=latents.num_groups_kept,
        )
        self._num_steps = config.steps
        self._has_ref_encoder = config.ref_encoder_layers > 0

    def train_dataloader(self) -> "BatchesAhead[Batch]":
        """The batches of all steps, each process's samples of them; the trainer saves and restores their position."""
        if self.trainer is None:
            return BatchesAhead(self.batch, self._num_steps)
        rank, num_processes = self.trainer.global_rank, self.trainer.world_size
        return BatchesAhead(lambda step: samples_of(self.batch(step), rank, num_processes), self._num_steps)

    def batch(self, step: int) -> Batch:
        """The batch of a step, a function of the seed and the step."""
        plan = self._sampler.plan(step)
        rows: list[int] = plan.target_B.tolist()
        views_BNCGG, weights_BN = self.views.gather(plan.view_BN)
        proportions_BM, proportion_weights_BM = self._proportions.gather(
            [self.latents.identities[row] for row in rows]
        )
        choose = random.Random(step)
        text = self.text.gather([choose.choice(self._variants[row]) for row in rows])
        ref_BN = plan.view_BN if self._has_ref_encoder else plan.reference_B[:, None]
        batch = Batch(
            step=step,
            latents_BCHW=torch.from_numpy(np.stack([self.latents.latent(row) for row in rows])),
            text_BLD=text.hidden_BLD,
            refs_BND=torch.from_numpy(self.latents.image_embeds[ref_BN]),
            ref_weights_BN=torch.from_numpy((ref_BN != PADDING).astype(np.float32)),
            views_BNCGG=views_BNCGG,
            weights_BN=weights_BN,
            keypoints_BK3=torch.from_numpy(self.latents.keypoints[plan.target_B].astype(np.float32)),
            proportions_BM=proportions_BM,
            proportion_weights_BM=proportion_weights_BM,
        )
        if text.pooled_BD is not None:
            batch["pooled_text_BD"] = text.pooled_BD
        if self._clip_text is not None:
            batch["clip_text_BD"] = self._clip_text.gather([self.captions[row] for row in rows])
        return batch


class ClipTexts:
    """Captions, each encoded once by the CLIP of L_CLIP."""

    def __init__(self, texts: Sequence[str], clip: ClipSimilarity) -> None:
        unique = sorted(set(texts))
        parts = [
            clip.encode_texts(unique[i : i + _PROMPTS_PER_CALL])
            for i in range(0, len(unique), _PROMPTS_PER_CALL)
        ]
        self._embeds_TD = torch.cat(parts).cpu()
        self._row_of_text = {text: row for row, text in enumerate(unique)}

    def gather(self, texts: Sequence[str]) -> torch.Tensor:
        """(B, D) float32."""
        return self._embeds_TD[[self._row_of_text[text] for text in texts]]


class BodyProportions:
    """Every person's log proportions (see `losses.proportions`), from the given rows of the table, when asked for."""

    def __init__(self, latents: LatentTable, rows: Sequence[int]) -> None:
        self._rows_of_person: dict[str, list[int]] = {}
        for row in rows:
            self._rows_of_person.setdefault(latents.identities[row], []).append(row)
        self._lengths_RM, self._weights_RM = _limbs_of_rows(latents)
        self._of_person = cache(self._measure)

    def gather(self, people: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, M) proportions and (B, M) weights of people, float32."""
        proportions, weights = zip(*(self._of_person(person) for person in people), strict=True)
        return torch.from_numpy(np.stack(proportions)), torch.from_numpy(np.stack(weights))

    def _measure(self, person: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = self._rows_of_person[person]
        return typical_proportions(self._lengths_RM[rows], self._weights_RM[rows])


def _limbs_of_rows(latents: LatentTable) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(R, M) log lengths of the limbs of all rows, and (R, M) weights; a call per aspect, not per row."""
    keypoints_RK3 = torch.from_numpy(latents.keypoints.astype(np.float32))
    lengths_RM, weights_RM = np.zeros((2, len(latents), len(LIMBS)), np.float32)
    for bucket in latents.layout.buckets:
        rows = latents.rows_of(bucket)
        of_bucket_BK3 = keypoints_RK3[torch.from_numpy(rows)]
        limbs = limb_lengths(of_bucket_BK3[..., :2], of_bucket_BK3[..., 2], bucket.width / bucket.height)
        lengths_RM[rows], weights_RM[rows] = (part.numpy() for part in limbs)
    return lengths_RM, weights_RM


def caption_variants(caption: str, count: int, *, seed: str) -> list[str]:
    """The caption, and `count` - 1 that lack some of its comma-separated parts, each part with probability 1/2."""
    chance = random.Random(seed)
    parts = caption.split(", ")
    shorter = [", ".join(part for part in parts if chance.random() < 0.5) for _ in range(count - 1)]
    return [caption, *shorter]


def check_latents(latents: LatentTable, base: BaseModel) -> None:
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
