"""The diffusion half of the objective: L_diff, KL, and L_id on the one-step estimate of the clean picture.

    L = L_diff + kl KL + l_id L_id                                                here
        + l_id L_id + l_clip L_CLIP + l_semantic L_sem + l_layout L_lay           few_step.py

Shape suffixes: B batch, C latent channels, H W latent rows and columns, K keypoints.
"""

import math

import torch
from diffusers import DDPMScheduler

from bolid_pipeline.models.base import BaseModel
from bolid_pipeline.training.batch import Batch
from bolid_pipeline.training.conditioner import Conditioner
from bolid_pipeline.training.config import DiffusionConfig, Loss
from bolid_pipeline.training.denoiser import Denoiser
from bolid_pipeline.training.loss_networks import LossNetworks
from bolid_pipeline.training.losses.diffusion import (
    diffusion_loss,
    one_step_sample,
    prediction_target,
    training_noise,
)
from bolid_pipeline.training.losses.focus import focus_weights
from bolid_pipeline.training.losses.keypoints import absolute_l_id
from bolid_pipeline.training.pose_network import PoseNetwork
from bolid_pipeline.training.randomness import StepRandomness


class DiffusionObjective:
    """The terms that one noisy version of each photo of a batch gives.

    Args:
        config: settings of the diffusion half.
        base: the base model; its noise schedule and the scale of its latents are used.
        denoiser: predicts by the U-Net of that base model with the branches.
        conditioner: draws the conditions of a batch.
        networks: the decoder and the pose network of L_id.
    """

    def __init__(
        self,
        config: DiffusionConfig,
        base: BaseModel,
        denoiser: Denoiser,
        conditioner: Conditioner,
        networks: LossNetworks,
    ) -> None:
        self._config = config
        self._denoiser = denoiser
        self._scaling_factor: float = base.vae.config.scaling_factor
        self._scheduler = DDPMScheduler.from_config(base.scheduler.config)
        self._conditioner = conditioner
        self._networks = networks

    def terms(self, batch: Batch, randomness: StepRandomness) -> dict[Loss, torch.Tensor]:
        """Raw terms, scalars with gradient: l_diff, kl, and l_id where it has a weight at this step.

        Noise, timesteps, dropout and the samples of the body encoder come from the given randomness alone.
        """
        latents_BCHW = batch["latents_BCHW"].float() * self._scaling_factor
        noise_BCHW = training_noise(latents_BCHW.shape, randomness, offset=self._config.noise_offset)
        num_timesteps = self._scheduler.config.num_train_timesteps
        timesteps_B = randomness.integers(num_timesteps, len(latents_BCHW))
        noisy_BCHW = self._scheduler.add_noise(latents_BCHW, noise_BCHW, timesteps_B)
        drawn = self._conditioner.draw(batch, randomness)
        prediction_BCHW = self._denoiser(noisy_BCHW, timesteps_B, drawn.conditions)
        terms = {
            Loss.L_DIFF: diffusion_loss(
                prediction_BCHW,
                prediction_target(self._scheduler, latents_BCHW, noise_BCHW, timesteps_B),
                timesteps_B,
                self._scheduler,
                min_snr_gamma=self._config.min_snr_gamma,
                weights_BHW=self._focus(batch),
            ),
            Loss.KL: drawn.kl,
        }
        pose = self._networks.pose
        if pose is not None and Loss.L_ID in self._config.weights_at(randomness.step):
            is_known_B = drawn.kept.knows_person()
            of = self._clearest(timesteps_B.where(is_known_B, num_timesteps))
            sample_BCHW = one_step_sample(
                self._scheduler, prediction_BCHW[of].float(), noisy_BCHW[of], timesteps_B[of]
            )
            is_counted_B = is_known_B[of] & (timesteps_B[of] <= self._config.id_max_timestep)
            terms[Loss.L_ID] = self._l_id(pose, sample_BCHW, batch["keypoints_BK3"][of], is_counted_B)
        return terms

    def _focus(self, batch: Batch) -> torch.Tensor | None:
        """(B, H, W): the weight of each latent cell in L_diff; None if all weigh alike."""
        if self._config.background_weight == 1:
            return None
        height, width = batch["latents_BCHW"].shape[-2:]
        return focus_weights(batch["keypoints_BK3"], height, width, self._config.background_weight)

    def _clearest(self, timesteps_B: torch.Tensor) -> torch.Tensor:
        """The samples with the least noise: as many as have at most `id_max_timestep` on average.

        To ask how many there are would wait for the device, and the memory of a step would change from step to step.
        """
        share = (self._config.id_max_timestep + 1) / self._scheduler.config.num_train_timesteps
        count = min(len(timesteps_B), max(1, math.ceil(share * len(timesteps_B))))
        return timesteps_B.topk(count, largest=False).indices

    def _l_id(
        self,
        pose: PoseNetwork,
        sample_BCHW: torch.Tensor,
        keypoints_BK3: torch.Tensor,
        is_counted_B: torch.Tensor,
    ) -> torch.Tensor:
        """L_id of the samples that count; 0 if none does."""
        found = pose(self._networks.decode(sample_BCHW))
        return absolute_l_id(found, keypoints_BK3, is_counted_B.float())
