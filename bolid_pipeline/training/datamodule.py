"""Batches for training, from cached latents and tokenised captions: no photo is decoded here, and no text encoded.

Shape suffixes: B batch, N views. Those of a batch's tensors are explained in `batch`.
"""

import random
from collections.abc import Mapping, Sequence

import lightning
import numpy as np
import torch

from bolid_pipeline.errors import ConfigurationError, ForeignLatents, NotEnoughData
from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.models.base import BaseModel
from bolid_pipeline.models.text import tokenize
from bolid_pipeline.training.batch import Batch, pinned
from bolid_pipeline.training.batch_plan import PADDING, BatchSampler, split_rows
from bolid_pipeline.training.batches_ahead import BatchesAhead
from bolid_pipeline.training.body_proportions import BodyProportions
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.data import TrainingData
from bolid_pipeline.training.losses.clip import ClipSimilarity
from bolid_pipeline.training.views import BodyViews

_CAPTIONS = 1
"""Keeps the random numbers that choose captions apart from those that plan the batch of the same step."""


class BoLIDDataModule(lightning.LightningDataModule):
    """The training batches of a latent table, a function of the configuration's seed and the step.

    Args:
        config: sizes, seed and held-out share.
        data: latents, captions and clusters.
        base: the base model, loaded; its tokenizers read the captions.
        clip: its tokenizer reads the captions for L_CLIP; None if no term needs it.

    Raises:
        ForeignLatents: the latents do not fit the base model's autoencoder or image encoder.
        ConfigurationError: the base model's autoencoder shifts its latents.
        NotEnoughData: no rows, or a row without a caption.
    """

    def __init__(
        self,
        config: TrainingConfig,
        data: TrainingData,
        base: BaseModel,
        *,
        clip: ClipSimilarity | None = None,
    ) -> None:
        super().__init__()
        latents = data.latents
        check_latents(latents, base)
        self.base = base
        self.latents = latents
        self.captions = _captions_of_rows(latents, data.captions)
        self.views = BodyViews(latents, config.body.grid)
        self._clip = clip
        cluster_R = [data.clusters.get(photo_id, photo_id) for photo_id in latents.photo_ids]
        self.train_rows, self.heldout_rows = split_rows(
            latents.photo_ids, latents.identities, config.heldout_fraction, cluster_R
        )
        self._proportions = BodyProportions(latents, self.train_rows)
        self._sampler = BatchSampler(
            latents.identities,
            latents.bucket_N,
            self.train_rows,
            batch_size=config.batch_size,
            max_views=config.body.max_views,
            seed=config.seed,
            clusters=cluster_R,
            groups=latents.group_N,
            num_groups_kept=latents.num_groups_kept,
        )
        self._seed = config.seed
        self._num_steps = config.steps
        self._num_variants = config.num_caption_variants
        self._has_ref_encoder = config.ref_encoder_layers > 0

    def latent_shapes(self) -> list[tuple[int, ...]]:
        """(C, H, W) of every size of pictures that training shows."""
        buckets = {self.latents.bucket(row) for row in self.train_rows}
        return [self.latents.layout.latent_shapes[bucket] for bucket in sorted(buckets)]

    def train_dataloader(self) -> "BatchesAhead[Batch]":
        """This process's samples of the batches of all steps; the trainer saves and restores their position."""
        if self.trainer is None:
            return BatchesAhead(self.batch, self._num_steps)
        rank, num_processes = self.trainer.global_rank, self.trainer.world_size
        finish = pinned if self.trainer.strategy.root_device.type == "cuda" else lambda batch: batch
        return BatchesAhead(lambda step: finish(self.batch(step, rank, num_processes)), self._num_steps)

    def batch(self, step: int, rank: int = 0, num_processes: int = 1) -> Batch:
        """The samples of one process in the batch of a step, which is a function of the seed and the step."""
        whole = self._sampler.plan(step)
        plan = whole.share(rank, num_processes)
        rows: list[int] = plan.target_B.tolist()
        views_BNCGG, weights_BN = self.views.gather(plan.view_BN)
        proportions_BM, proportion_weights_BM = self._proportions.gather(
            [self.latents.identities[row] for row in rows]
        )
        ref_BN = plan.view_BN if self._has_ref_encoder else plan.reference_B[:, None]
        # Captions are padded to the longest of the whole batch: then a sample is the same in however many processes.
        token_ids_BEWT = tokenize(self.base, self._shown_captions(step, whole.target_B.tolist()))
        batch = Batch(
            step=step,
            latents_BCHW=torch.from_numpy(np.stack([self.latents.latent(row) for row in rows])),
            token_ids_BEWT=token_ids_BEWT[rank::num_processes],
            refs_BND=torch.from_numpy(self.latents.image_embeds(ref_BN.clip(0))),
            ref_weights_BN=torch.from_numpy((ref_BN != PADDING).astype(np.float32)),
            views_BNCGG=views_BNCGG,
            weights_BN=weights_BN,
            keypoints_BK3=torch.from_numpy(self.latents.keypoints[plan.target_B].astype(np.float32)),
            proportions_BM=proportions_BM,
            proportion_weights_BM=proportion_weights_BM,
        )
        if self._clip is not None:
            batch["clip_token_ids_BT"] = self._clip.tokenize([self.captions[row] for row in rows])
        return batch

    def _shown_captions(self, step: int, rows: Sequence[int]) -> list[str]:
        """A version of each row's caption, drawn for this step."""
        rng = np.random.default_rng([self._seed, step, _CAPTIONS])
        return [
            caption_variants(self.captions[row], self._num_variants, seed=self.latents.photo_ids[row])[
                rng.choice(self._num_variants)
            ]
            for row in rows
        ]


def caption_variants(caption: str, count: int, *, seed: str) -> list[str]:
    """The caption, and `count` - 1 that lack some of its comma-separated parts, each part with probability 1/2."""
    chance = random.Random(seed)
    parts = caption.split(", ")
    shorter = [", ".join(part for part in parts if chance.random() < 0.5) for _ in range(count - 1)]
    return [caption, *shorter]


def check_latents(latents: LatentTable, base: BaseModel) -> None:
    """Refuse latents that the base model cannot have made, and a base model whose latents cannot be trained on.

    Raises:
        ForeignLatents: names what differs: channels, scaling factor, or length of the image embedding.
        ConfigurationError: the autoencoder shifts its latents.
        NotEnoughData: the table is empty.
    """
    if not len(latents):
        raise NotEnoughData("the latent table is empty: run the data set's stages first")
    shift_factor = getattr(base.vae.config, "shift_factor", None)
    if shift_factor:
        raise ConfigurationError(
            f"the autoencoder of the base model shifts its latents by {shift_factor}, which the training does not do; "
            "use a base model of Stable Diffusion or SDXL"
        )
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
