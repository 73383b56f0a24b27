"""The LightningModule: a frozen base model, two trainable branches, a trainable body encoder, the objective.

    L = L_diff + kl KL + l_id L_id  |  lightning: l_id L_id + l_clip L_CLIP + l_semantic L_sem + l_layout L_lay

The two halves have a backward pass each before one optimiser step, so that the memory of a step is that of the larger
half. Each term is logged raw, and times its weight under its name with `_weighted`.

Shape suffixes: B batch, C latent channels, H W latent rows and columns, D features.
"""

import math
from pathlib import Path
from typing import Any

import lightning
import torch
from diffusers import DDPMScheduler
from diffusers.optimization import get_cosine_schedule_with_warmup
from diffusers.training_utils import EMAModel

from bolid_pipeline.models import adapters
from bolid_pipeline.models.base import BaseModel
from bolid_pipeline.models.body_encoder import BodyEncoder
from bolid_pipeline.models.pipeline import (
    BODY_ADAPTER_FILE,
    BODY_ENCODER_FOLDER,
    REF_ADAPTER_FILE,
    REF_ENCODER_FOLDER,
)
from bolid_pipeline.models.reference_encoder import ReferenceEncoder
from bolid_pipeline.models.text import EncodedText
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
from bolid_pipeline.training.sharding import share_frozen_weights

_VISIBLE = 0.5  # a keypoint of the reference that is less sure than this takes no part in L_id

Terms = dict[str, torch.Tensor]


class BoLIDSystem(lightning.LightningModule):
    """The objective with condition dropout, in two halves.

    Noise, timesteps, dropout and the encoder's samples are a function of (seed, step), so a step does the same whenever
    it runs.

    Args:
        config: of the run.
        base: the base model, frozen; its U-Net gets the branches attached, in place.
        image_embed_dim: length of the reference photo's CLIP embedding.
        empty_text: the empty prompt, encoded, in place of dropped captions.
        networks: what looks at generated pictures; None where no term needs it.
    """

    def __init__(
        self,
        config: TrainingConfig,
        base: BaseModel,
        image_embed_dim: int,
        empty_text: EncodedText,
        networks: LossNetworks | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.strict_loading = False  # checkpoints hold what is trained, not the frozen base model
        self.config = config
        self.base = base
        self.scaling_factor: float = base.vae.config.scaling_factor
        self.scheduler = DDPMScheduler.from_config(base.scheduler.config)
        self.networks = networks
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.body_encoder = _new_body_encoder(config, base)
            self.ref_encoder = _new_ref_encoder(config, image_embed_dim)
            self.unet = base.unet
            adapters.attach(
                self.unet,
                adapters.new_ref_state(self.unet, image_embed_dim),
                adapters.new_body_state(
                    self.unet, config.c_body_dim, config.num_body_tokens, is_dense=config.is_body_dense
                ),
            )
        if config.gradient_checkpointing:
            self.unet.enable_gradient_checkpointing()
        if config.compile_unet:
            self.unet.compile()
        for parameter in self.trainable_parameters():
            parameter.requires_grad_(True)
        self.ema = EMAModel(self.trainable_parameters(), decay=config.ema_decay)
        self._empty_text = empty_text
        self._pixels_per_latent = 2 ** (len(base.vae.config.block_out_channels) - 1)

    def trainable_parameters(self) -> list[torch.nn.Parameter]:
        """Everything that training moves, in a fixed order."""
        encoders = [self.body_encoder] if self.ref_encoder is None else [self.body_encoder, self.ref_encoder]
        of_encoders = [parameter for encoder in encoders for parameter in encoder.parameters()]
        return [*adapters.trainable_parameters(self.unet), *of_encoders]

    def start_from(self, checkpoint: Path) -> None:
        """Take over the weights of a checkpoint folder, whose branches and encoder have the same sizes.

        Raises:
            WeightsMissing: a part of the checkpoint is not there.
        """
        adapters.attach(
            self.unet,
            adapters.read_adapter(checkpoint / REF_ADAPTER_FILE),
            adapters.read_adapter(checkpoint / BODY_ADAPTER_FILE),
        )
        encoder = BodyEncoder.from_pretrained(checkpoint / BODY_ENCODER_FOLDER, low_cpu_mem_usage=False)
        self.body_encoder.load_state_dict(encoder.state_dict())
        if self.ref_encoder is not None and (checkpoint / REF_ENCODER_FOLDER).is_dir():
            of_refs = ReferenceEncoder.from_pretrained(
                checkpoint / REF_ENCODER_FOLDER, low_cpu_mem_usage=False
            )
            self.ref_encoder.load_state_dict(of_refs.state_dict())
        for parameter in self.trainable_parameters():
            parameter.requires_grad_(True)
        self.ema = EMAModel(self.trainable_parameters(), decay=self.config.ema_decay)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Both halves' gradients, one optimiser step."""
        del batch_idx
        optimizer: Any = self.optimizers()
        schedule: Any = self.lr_schedulers()
        step = batch["step"]
        randomness = self._randomness(step)
        optimizer.zero_grad()
        losses = self._descend(self.diffusion_terms(batch, randomness), self._diffusion_weights(step))
        branch = self.config.lightning
        if branch is not None and (weights := branch.weights_at(step)):
            losses |= self._descend(self.lightning_terms(batch, randomness, weights), weights)
        self.clip_gradients(
            optimizer, gradient_clip_val=self.config.max_grad_norm, gradient_clip_algorithm="norm"
        )
        optimizer.step()
        schedule.step()
        self.ema.step(self.trainable_parameters())
        if step % self.config.log_every_n_steps == 0 and self.logger is not None:
            means = {
                name: self.trainer.strategy.reduce(loss, reduce_op="mean") for name, loss in losses.items()
            }
            self.logger.log_metrics({name: loss.item() for name, loss in means.items()}, step=step)

    def diffusion_terms(self, batch: Batch, randomness: StepRandomness) -> Terms:
        """Raw terms of the diffusion half, scalars: l_diff, kl, and l_id where it has a weight at this step."""
        latents_BCHW = batch["latents_BCHW"].float() * self.scaling_factor
        noise_BCHW = training_noise(latents_BCHW.shape, randomness, offset=self.config.noise_offset)
        noise_BCHW = noise_BCHW.to(latents_BCHW.device)
        num_timesteps = self.scheduler.config.num_train_timesteps
        timesteps_B = randomness.integers(num_timesteps, len(latents_BCHW)).to(latents_BCHW.device)
        noisy_BCHW = self.scheduler.add_noise(latents_BCHW, noise_BCHW, timesteps_B)
        conditions, kept, kl = self._conditions(batch, randomness)
        prediction_BCHW = predict(self.unet, noisy_BCHW, timesteps_B, conditions)
        terms = {
            "l_diff": diffusion_loss(
                prediction_BCHW,
                prediction_target(self.scheduler, latents_BCHW, noise_BCHW, timesteps_B),
                timesteps_B,
                self.scheduler,
                min_snr_gamma=self.config.min_snr_gamma,
                weights_BHW=self._focus(batch),
            ),
            "kl": kl,
        }
        if self.config.l_id.weight_at(randomness.step):
            is_clear_B = (timesteps_B <= self.config.id_max_timestep) & kept.knows_person()
            sample_BCHW = one_step_sample(self.scheduler, prediction_BCHW.float(), noisy_BCHW, timesteps_B)
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
        noise_BCHW = randomness.normal(count, *batch["latents_BCHW"].shape[1:]).to(self.device)
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

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What is trained, and its running mean; the frozen rest comes from the base model's folder."""
        checkpoint["state_dict"] = {}
        checkpoint["trained"] = [parameter.detach() for parameter in self.trainable_parameters()]
        checkpoint["ema"] = self.ema.state_dict()
        if self.logger is not None:
            self.logger.save()  # the losses up to here; later ones a resumed run logs again

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The inverse."""
        for parameter, saved in zip(self.trainable_parameters(), checkpoint["trained"], strict=True):
            parameter.data.copy_(saved)
        self.ema.load_state_dict(checkpoint["ema"])

    def configure_model(self) -> None:
        """Before several processes start, leave this one its share of the frozen weights, where that is wanted."""
        if self.config.strategy == "fsdp" and self.trainer.world_size > 1:
            device_type = self.trainer.strategy.root_device.type
            share_frozen_weights(self, self.unet, device_type, self.trainer.world_size)

    def on_fit_start(self) -> None:
        """The running mean lives where the weights live."""
        self.ema.to(self.device)

    def use_mean_weights(self) -> None:
        """Replace the trained weights by their running mean, for good."""
        self.ema.copy_to(self.trainable_parameters())

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine, per step."""
        optimizer = torch.optim.AdamW(
            self.trainable_parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
        )
        schedule = get_cosine_schedule_with_warmup(optimizer, self.config.warmup_steps, self.config.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _descend(self, terms: Terms, weights: dict[str, float]) -> Terms:
        """Add one half's gradients to those that are there; returns the terms, raw and weighted."""
        weighted = {f"{name}_weighted": weights[name] * term for name, term in terms.items()}
        self.manual_backward(torch.stack(list(weighted.values())).sum())
        return {name: term.detach() for name, term in (terms | weighted).items()}

    def _randomness(self, step: int) -> StepRandomness:
        return StepRandomness(self.config.seed, step, self.global_rank, self.trainer.world_size)

    def _diffusion_weights(self, step: int) -> dict[str, float]:
        return {
            "l_diff": 1.0,
            "kl": self.config.kl.weight_at(step),
            "l_id": self.config.l_id.weight_at(step),
        }

    def _conditions(
        self, batch: Batch, randomness: StepRandomness
    ) -> tuple[Conditions, KeptConditions, torch.Tensor]:
        """The batch's conditions with some dropped, which ones are kept, and the KL of the encoder."""
        posterior = self.body_encoder(batch["views_BNCGG"], batch["weights_BN"])
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
        if self.ref_encoder is None:
            return batch["refs_BND"][:, 0]
        return self.ref_encoder(batch["refs_BND"], batch["ref_weights_BN"])

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
                return predict(self.unet, noisy_BCHW, timesteps_B, conditions)
            with recorded_cross_attention(self.unet) as of_step:
                prediction_BCHW = predict(self.unet, noisy_BCHW, timesteps_B, conditions)
            record.extend(of_step)
            return prediction_BCHW

        latents_BCHW = few_step_sample(
            predict_here,
            self.scheduler.config,
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


def _new_body_encoder(config: TrainingConfig, base: BaseModel) -> BodyEncoder:
    return BodyEncoder(
        latent_channels=base.vae.config.latent_channels,
        scaling_factor=base.vae.config.scaling_factor,
        grid=config.encoder_grid,
        width=config.encoder_width,
        num_layers=config.encoder_layers,
        c_body_dim=config.c_body_dim,
        num_dense_tokens=config.num_body_tokens if config.is_body_dense else None,
    )


def _new_ref_encoder(config: TrainingConfig, image_embed_dim: int) -> ReferenceEncoder | None:
    if not config.ref_encoder_layers:
        return None
    num_heads = math.gcd(image_embed_dim, 8)
    return ReferenceEncoder(image_embed_dim, num_layers=config.ref_encoder_layers, num_heads=num_heads)


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
