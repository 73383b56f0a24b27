"""The few-step half of the objective: losses on a clean picture, sampled from pure noise in a few steps.

The idea is PuLID's "Lightning T2I branch" (arXiv 2404.16022), the Lightning in BoLID's name: a loss on a clean picture
needs one, and few-step sampling without guidance gives one that is true enough while the chain of gradients stays
short. Which sampler draws a good picture in four steps depends on the base model, see `models.samplers`.

Shape suffixes: B batch, C latent channels, H W latent rows and columns, M limbs.
"""

from collections.abc import Callable, Collection
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from bolid_pipeline.models.base import BaseModel
from bolid_pipeline.models.samplers import make_sampler
from bolid_pipeline.training.batch import Batch
from bolid_pipeline.training.condition_dropout import KeptConditions
from bolid_pipeline.training.conditioner import Conditioner
from bolid_pipeline.training.conditions import Conditions
from bolid_pipeline.training.config import FewStepConfig, Loss
from bolid_pipeline.training.denoiser import Denoiser
from bolid_pipeline.training.loss_networks import LossNetworks
from bolid_pipeline.training.losses.alignment import (
    CrossAttentionRecord,
    layout_loss,
    recorded_cross_attention,
    semantic_loss,
)
from bolid_pipeline.training.losses.keypoints import absolute_l_id
from bolid_pipeline.training.losses.proportions import proportion_l_id
from bolid_pipeline.training.pose_network import FoundKeypoints
from bolid_pipeline.training.randomness import StepRandomness

Predict = Callable[[int, torch.Tensor, torch.Tensor], torch.Tensor]
"""(number of the sampler step, noisy latents (B, C, H, W), timesteps (B,)) -> the prediction of the U-Net."""

_ALIGNMENT = frozenset({Loss.FEW_STEP_L_SEMANTIC, Loss.FEW_STEP_L_LAYOUT})
_ON_PICTURES = frozenset({Loss.FEW_STEP_L_ID, Loss.FEW_STEP_L_CLIP})


class FewStepObjective:
    """The terms that pictures drawn under the conditions of a batch give.

    Args:
        config: settings of the few-step half.
        base: the base model; its noise schedule is used.
        denoiser: predicts by the U-Net of that base model with the branches.
        conditioner: draws the conditions of a batch.
        networks: the decoder, and the networks that the losses apply to the pictures.
    """

    def __init__(
        self,
        config: FewStepConfig,
        base: BaseModel,
        denoiser: Denoiser,
        conditioner: Conditioner,
        networks: LossNetworks,
    ) -> None:
        self._config = config
        self._denoiser = denoiser
        self._scheduler_config = base.scheduler.config
        self._conditioner = conditioner
        self._networks = networks

    def terms(
        self, batch: Batch, randomness: StepRandomness, wanted: Collection[Loss] | None = None
    ) -> dict[Loss, torch.Tensor]:
        """Raw terms, scalars with gradient: the wanted ones, or all that ever have a weight.

        Noise, dropout, gradient steps and the samples of the body encoder come from the given randomness alone.
        """
        wanted = self._config.losses() if wanted is None else frozenset(wanted)
        count = self._num_samples(batch, randomness.num_processes)
        drawn = self._conditioner.draw(batch, randomness, count)
        conditions, kept = drawn.conditions, drawn.kept
        targets_BCHW = batch["latents_BCHW"][:count]
        noise_BCHW = randomness.normal(*targets_BCHW.shape)
        gradient_steps = draw_gradient_steps(self._config, randomness)
        terms: dict[Loss, torch.Tensor] = {}
        with_identity = CrossAttentionRecord() if wanted & _ALIGNMENT else None
        before_sampling = randomness.generator.get_state()
        latents_BCHW = self._sample(
            conditions, noise_BCHW, gradient_steps, randomness.generator, with_identity
        )
        if with_identity is not None:
            randomness.generator.set_state(
                before_sampling
            )  # samplers that add noise add the same noise again
            without = CrossAttentionRecord()
            with torch.no_grad():
                self._sample(
                    conditions.text_only(), noise_BCHW, gradient_steps, randomness.generator, without
                )
            terms[Loss.FEW_STEP_L_SEMANTIC] = semantic_loss(with_identity, without)
            terms[Loss.FEW_STEP_L_LAYOUT] = layout_loss(with_identity, without)
        if wanted & _ON_PICTURES:
            terms |= self._picture_terms(latents_BCHW, batch, kept, wanted)
        return {loss: term for loss, term in terms.items() if loss in wanted}

    def _num_samples(self, batch: Batch, num_processes: int) -> int:
        """Number of samples of this process's part of the batch that take part."""
        whole = len(batch["latents_BCHW"])
        if self._config.batch_size is None:
            return whole
        return min(whole, max(1, self._config.batch_size // num_processes))

    def _sample(
        self,
        conditions: Conditions,
        noise_BCHW: torch.Tensor,
        gradient_steps: Collection[int],
        generator: torch.Generator,
        record: CrossAttentionRecord | None,
    ) -> torch.Tensor:
        """Clean latents; `record` takes the cross-attention of the steps that carry a gradient."""

        def predict_step(step: int, noisy_BCHW: torch.Tensor, timesteps_B: torch.Tensor) -> torch.Tensor:
            if step not in gradient_steps:
                with torch.no_grad():
                    return self._denoiser(noisy_BCHW.detach(), timesteps_B, conditions.detach())
            # A compiled U-Net runs no hooks, so nothing could be recorded of it.
            predict = partial(self._denoiser, with_hooks=record is not None)
            # The recording encloses the checkpointed function, and has ended when the backward pass runs that
            # function again: each layer is recorded once.
            unet = self._denoiser.unet
            with nullcontext() if record is None else recorded_cross_attention(unet, record):
                if self._config.checkpointing:
                    return checkpoint(predict, noisy_BCHW, timesteps_B, conditions, use_reentrant=False)
                return predict(noisy_BCHW, timesteps_B, conditions)

        scheduler = make_sampler(self._config.sampler, self._scheduler_config)
        return few_step_sample(predict_step, scheduler, self._config.num_steps, noise_BCHW, generator)

    def _picture_terms(
        self, latents_BCHW: torch.Tensor, batch: Batch, kept: KeptConditions, wanted: Collection[Loss]
    ) -> dict[Loss, torch.Tensor]:
        """L_id and L_CLIP of the decoded pictures."""
        pose, clip = self._networks.pose, self._networks.clip
        pixels_B3HW = self._networks.decode(latents_BCHW)
        terms: dict[Loss, torch.Tensor] = {}
        if Loss.FEW_STEP_L_ID in wanted and pose is not None:
            aspect = pixels_B3HW.shape[-1] / pixels_B3HW.shape[-2]
            terms[Loss.FEW_STEP_L_ID] = self._l_id(pose(pixels_B3HW), batch, kept, aspect)
        if Loss.FEW_STEP_L_CLIP in wanted and clip is not None and "clip_token_ids_BT" in batch:
            text_BD = clip.encode_tokens(batch["clip_token_ids_BT"][: len(pixels_B3HW)])
            terms[Loss.FEW_STEP_L_CLIP] = clip(pixels_B3HW, text_BD, kept.text_B.float())
        return terms

    def _l_id(self, found: FoundKeypoints, batch: Batch, kept: KeptConditions, aspect: float) -> torch.Tensor:
        """L_id of the samples that were told who they show, in the configured mode."""
        count, is_known_B = len(found.person_B), kept.knows_person().float()
        if self._config.id_mode == "absolute":
            return absolute_l_id(found, batch["keypoints_BK3"][:count], is_known_B)
        weights_BM = batch["proportion_weights_BM"][:count] * is_known_B[:, None]
        return proportion_l_id(found, batch["proportions_BM"][:count], weights_BM, aspect=aspect)


def few_step_sample(
    predict: Predict, scheduler: Any, num_steps: int, noise_BCHW: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Clean latents from noise; scaled, as the U-Net knows them.

    The arithmetic of the sampler keeps its gradient in every step, so that a gradient passes by the steps whose
    prediction has none. The sampler's tables stay on the CPU: it decides by their numbers, and to read them from a
    device would wait for it.

    Args:
        predict: the U-Net under its conditions.
        scheduler: a sampler of `make_sampler`.
        num_steps: sampler steps.
        noise_BCHW: standard normal.
        generator: for samplers that add noise between steps (LCM, TCD).
    """
    scheduler.set_timesteps(num_steps)
    latents_BCHW = noise_BCHW * scheduler.init_noise_sigma
    for step, timestep in enumerate(scheduler.timesteps):
        inputs_BCHW = scheduler.scale_model_input(latents_BCHW, timestep)
        timesteps_B = torch.full(
            (len(latents_BCHW),), timestep.item(), dtype=timestep.dtype, device=latents_BCHW.device
        )
        prediction_BCHW = predict(step, inputs_BCHW, timesteps_B)
        latents_BCHW = scheduler.step(
            prediction_BCHW.float(), timestep, latents_BCHW, generator=generator
        ).prev_sample
    return latents_BCHW


def draw_gradient_steps(config: FewStepConfig, randomness: StepRandomness) -> frozenset[int]:
    """The last k sampler steps, or k drawn at random."""
    if config.gradient_from == "last":
        return frozenset(range(config.num_steps - config.gradient_steps, config.num_steps))
    return randomness.choice(config.num_steps, config.gradient_steps)
