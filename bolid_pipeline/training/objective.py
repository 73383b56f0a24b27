"""The terms of the objective, each raw: those of the diffusion half, and those of the Lightning half.

    L = L_diff + kl KL + l_id L_id  |  lightning: l_id L_id + l_clip L_CLIP + l_semantic L_sem + l_layout L_lay

Shape suffixes: B batch, C latent channels, H W latent rows and columns, D features.
"""

import torch
from diffusers import DDPMScheduler
from torch import nn

from bolid_pipeline.models.base import BaseModel
from bolid_pipeline.models.text import EncodedText
from bolid_pipeline.training.branches import Branches
from bolid_pipeline.training.condition_dropout import KeptConditions, draw_kept_conditions
from bolid_pipeline.training.conditions import Conditions, predict
from bolid_pipeline.training.config import LightningConfig, TrainingConfig
from bolid_pipeline.training.datamodule import Batch
from bolid_pipeline.training.lightning_branch import draw_gradient_steps, few_step_sample
from bolid_pipeline.training.loss_networks import LossNetworks
from bolid_pipeline.training.losses.alignment import (
    CrossAttentionRecord,
    layout_loss,
    recorded_cross_attention,
    semantic_loss,
)
from bolid_pipeline.training.losses.diffusion import (
    diffusion_loss,
    one_step_sample,
    prediction_target,
    training_noise,
)
from bolid_pipeline.training.losses.focus import focus_weights
from bolid_pipeline.training.losses.keypoints import keypoint_loss
from bolid_pipeline.training.losses.kl import kl_to_standard_normal
from bolid_pipeline.training.losses.proportions import limb_lengths, proportion_loss
from bolid_pipeline.training.pose_network import FoundKeypoints
from bolid_pipeline.training.randomness import StepRandomness

_VISIBLE = 0.5  # a keypoint of the reference that is less sure than this takes no part in L_id

Terms = dict[str, torch.Tensor]


class Objective(nn.Module):
    """The terms that a batch gives, with condition dropout.

    Noise, timesteps, dropout and the encoder's samples come from the given randomness alone.

    Args:
        config: of the run.
        branches: what the terms train.
        base: the base model that the branches are attached to.
        empty_text: the empty prompt, encoded, in place of dropped captions.
        networks: what looks at generated pictures; None where no term needs it.
    """

    def __init__(
        self,
        config: TrainingConfig,
        branches: Branches,
        base: BaseModel,
        empty_text: EncodedText,
        networks: LossNetworks | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.branches = branches
        self.networks = networks
        self._scaling_factor: float = base.vae.config.scaling_factor
        self._pixels_per_latent = 2 ** (len(base.vae.config.block_out_channels) - 1)
        self._scheduler = DDPMScheduler.from_config(base.scheduler.config)
        self._empty_text = empty_text

    def diffusion_terms(self, batch: Batch, randomness: StepRandomness) -> Terms:
        """Raw terms of the diffusion half, scalars: l_diff, kl, and l_id where it has a weight at this step."""
        latents_BCHW = batch["latents_BCHW"].float() * self._scaling_factor
        noise_BCHW = training_noise(latents_BCHW.shape, randomness, offset=self.config.noise_offset)
        noise_BCHW = noise_BCHW.to(latents_BCHW.device)
        num_timesteps = self._scheduler.config.num_train_timesteps
        timesteps_B = randomness.integers(num_timesteps, len(latents_BCHW)).to(latents_BCHW.device)
        noisy_BCHW = self._scheduler.add_noise(latents_BCHW, noise_BCHW, timesteps_B)
        conditions, kept, kl = self._conditions(batch, randomness)
        prediction_BCHW = predict(self.branches.unet, noisy_BCHW, timesteps_B, conditions)
        terms = {
            "l_diff": diffusion_loss(
                prediction_BCHW,
                prediction_target(self._scheduler, latents_BCHW, noise_BCHW, timesteps_B),
                timesteps_B,
                self._scheduler,
                min_snr_gamma=self.config.min_snr_gamma,
                weights_BHW=self._focus(batch),
            ),
            "kl": kl,
        }
        if self.config.l_id.weight_at(randomness.step):
            is_clear_B = (timesteps_B <= self.config.id_max_timestep) & kept.knows_person()
            sample_BCHW = one_step_sample(self._scheduler, prediction_BCHW.float(), noisy_BCHW, timesteps_B)
            terms["l_id"] = self._one_step_l_id(sample_BCHW, batch["keypoints_BK3"], is_clear_B)
        return terms

    def lightning_terms(
        self, batch: Batch, randomness: StepRandomness, weights: dict[str, float] | None = None
    ) -> Terms:
        """Raw terms of the Lightning half, scalars: those named in `weights`, or all that the configuration weighs."""
        branch = self._branch()
        wanted = weights or branch.highest_weights()
        count = len(batch["refs_BND"])
        if branch.batch_size is not None:
            count = min(count, max(1, branch.batch_size // randomness.num_processes))
        all_conditions, all_kept, _ = self._conditions(batch, randomness)
        conditions, kept = all_conditions.first(count), all_kept.first(count)
        targets_BCHW = batch["latents_BCHW"][:count]
        noise_BCHW = randomness.normal(*targets_BCHW.shape).to(targets_BCHW.device)
        gradient_steps = draw_gradient_steps(branch, randomness.generator)
        is_aligned = bool({"lightning_l_semantic", "lightning_l_layout"} & set(wanted))
        before_sampling = randomness.generator.get_state()
        latents_BCHW, record = self._sample(
            conditions, noise_BCHW, gradient_steps, randomness.generator, is_aligned
        )
        terms: Terms = {}
        if is_aligned:
            randomness.generator.set_state(before_sampling)  # samplers that add noise add the same
            with torch.no_grad():
                _, base_record = self._sample(
                    conditions.text_only(),
                    noise_BCHW,
                    gradient_steps,
                    randomness.generator,
                    is_recorded=True,
                )
            terms["lightning_l_semantic"] = semantic_loss(record, base_record)
            terms["lightning_l_layout"] = layout_loss(record, base_record)
        if {"lightning_l_id", "lightning_l_clip"} & set(wanted):
            terms |= self._picture_terms(latents_BCHW, batch, kept, wanted)
        return {name: term for name, term in terms.items() if name in wanted}

    def _conditions(
        self, batch: Batch, randomness: StepRandomness
    ) -> tuple[Conditions, KeptConditions, torch.Tensor]:
        """The batch's conditions with some dropped, which ones are kept, and the KL of the encoder."""
        posterior = self.branches.body_encoder(batch["views_BNCGG"], batch["weights_BN"])
        kl = kl_to_standard_normal(posterior.mean_BD, posterior.logvar_BD, posterior.has_views_B)
        noise_BD = randomness.normal(*posterior.mean_BD.shape).to(posterior.mean_BD)
        c_body_BD = posterior.mean_BD + torch.exp(0.5 * posterior.logvar_BD) * noise_BD
        text_BLD, pooled_BD = batch["text_BLD"], batch.get("pooled_text_BD")
        kept = draw_kept_conditions(len(text_BLD), self.config, randomness).to(text_BLD.device)
        if pooled_BD is not None and self._empty_text.pooled_BD is not None:
            pooled_BD = torch.where(kept.text_B[:, None], pooled_BD, self._empty_text.pooled_BD.to(pooled_BD))
        height, width = batch["latents_BCHW"].shape[-2:]
        conditions = Conditions(
            EncodedText(
                torch.where(kept.text_B[:, None, None], text_BLD, self._empty_text.hidden_BLD.to(text_BLD)),
                pooled_BD,
            ),
            self._ref_of(batch) * kept.ref_B[:, None],
            c_body_BD * (kept.body_B & posterior.has_views_B)[:, None],
            height * self._pixels_per_latent,
            width * self._pixels_per_latent,
        )
        return conditions, kept, kl

    def _ref_of(self, batch: Batch) -> torch.Tensor:
        """(B, D): the reference photo's embedding, or what the reference encoder makes of several."""
        if self.branches.ref_encoder is None:
            return batch["refs_BND"][:, 0]
        return self.branches.ref_encoder(batch["refs_BND"], batch["ref_weights_BN"])

    def _focus(self, batch: Batch) -> torch.Tensor | None:
        """(B, H, W): what each latent cell counts in L_diff."""
        if self.config.background_weight == 1:
            return None
        height, width = batch["latents_BCHW"].shape[-2:]
        return focus_weights(batch["keypoints_BK3"], height, width, self.config.background_weight)

    def _one_step_l_id(
        self, sample_BCHW: torch.Tensor, keypoints_BK3: torch.Tensor, is_counted_B: torch.Tensor
    ) -> torch.Tensor:
        """L_id of the samples that count; only those are decoded."""
        if not is_counted_B.any():
            return sample_BCHW.sum() * 0.0
        found = self._found_keypoints(sample_BCHW[is_counted_B])
        return _absolute_l_id(found, keypoints_BK3[is_counted_B], torch.ones_like(found.person_B))

    def _sample(
        self,
        conditions: Conditions,
        noise_BCHW: torch.Tensor,
        gradient_steps: frozenset[int],
        generator: torch.Generator,
        is_recorded: bool,
    ) -> tuple[torch.Tensor, CrossAttentionRecord]:
        """Clean latents, and what the cross-attention layers said in the steps that carry a gradient."""
        record = CrossAttentionRecord()
        remaining = iter(range(self._branch().num_steps))

        def predict_here(noisy_BCHW: torch.Tensor, timesteps_B: torch.Tensor) -> torch.Tensor:
            is_first_pass = next(remaining, None) in gradient_steps
            if not (is_recorded and is_first_pass):
                return predict(self.branches.unet, noisy_BCHW, timesteps_B, conditions)
            with recorded_cross_attention(self.branches.unet) as of_step:
                prediction_BCHW = predict(self.branches.unet, noisy_BCHW, timesteps_B, conditions)
            record.extend(of_step)
            return prediction_BCHW

        latents_BCHW = few_step_sample(
            predict_here,
            self._scheduler.config,
            noise_BCHW,
            self._branch(),
            gradient_steps=gradient_steps,
            generator=generator,
        )
        return latents_BCHW, record

    def _picture_terms(
        self, latents_BCHW: torch.Tensor, batch: Batch, kept: KeptConditions, wanted: dict[str, float]
    ) -> Terms:
        """L_id and L_CLIP of the decoded pictures."""
        networks, count = self._networks(), len(latents_BCHW)
        pixels_B3HW = networks.decode(latents_BCHW)
        terms: Terms = {}
        if "lightning_l_id" in wanted and networks.pose is not None:
            found = networks.pose(pixels_B3HW)
            is_known_B = kept.knows_person().float()
            if self._branch().id_mode == "absolute":
                terms["lightning_l_id"] = _absolute_l_id(found, batch["keypoints_BK3"][:count], is_known_B)
            else:
                terms["lightning_l_id"] = _proportion_l_id(
                    found,
                    batch["proportions_BM"][:count],
                    batch["proportion_weights_BM"][:count] * is_known_B[:, None],
                    aspect=pixels_B3HW.shape[-1] / pixels_B3HW.shape[-2],
                )
        if "lightning_l_clip" in wanted and networks.clip is not None and "clip_text_BD" in batch:
            text_BD = batch["clip_text_BD"][:count]
            terms["lightning_l_clip"] = networks.clip(pixels_B3HW, text_BD, kept.text_B.float())
        return terms

    def _found_keypoints(self, latents_BCHW: torch.Tensor) -> FoundKeypoints:
        networks = self._networks()
        assert networks.pose is not None  # noqa: S101 - LossNetworks holds it where L_id has a weight
        return networks.pose(networks.decode(latents_BCHW))

    def _networks(self) -> LossNetworks:
        assert self.networks is not None  # noqa: S101 - `fit` makes them where a term has a weight
        return self.networks

    def _branch(self) -> LightningConfig:
        assert self.config.lightning is not None  # noqa: S101 - asked for only where it is configured
        return self.config.lightning


def _absolute_l_id(
    found: FoundKeypoints, keypoints_BK3: torch.Tensor, weights_B: torch.Tensor
) -> torch.Tensor:
    """Against the photo's own keypoints; a picture counts as much as the network is sure to see somebody."""
    is_visible_BK = (keypoints_BK3[..., 2] >= _VISIBLE).float()
    weights_BK = is_visible_BK * (found.person_B * weights_B)[:, None]
    return keypoint_loss(found.keypoints_BK2, keypoints_BK3[..., :2], weights_BK)


def _proportion_l_id(
    found: FoundKeypoints, wanted_BM: torch.Tensor, weights_BM: torch.Tensor, *, aspect: float
) -> torch.Tensor:
    """Against the person's proportions; a limb counts as much as both ends are sure, and somebody is."""
    lengths_BM, sure_BM = limb_lengths(found.keypoints_BK2, found.confidence_BK, aspect)
    return proportion_loss(lengths_BM, wanted_BM, sure_BM * weights_BM * found.person_B[:, None])
