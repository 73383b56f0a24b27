"""The LightningModule: a frozen base model, two trainable branches, a trainable body encoder, one loss."""

from typing import Any

import lightning
import torch
from diffusers import DDPMScheduler, StableDiffusionPipeline
from diffusers.optimization import get_cosine_schedule_with_warmup
from diffusers.training_utils import EMAModel

from bolid_pipeline.models import adapters
from bolid_pipeline.models.body_encoder import BodyEncoder
from bolid_pipeline.training.condition_dropout import draw_kept_conditions
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.datamodule import Batch
from bolid_pipeline.training.losses.diffusion import diffusion_loss, prediction_target
from bolid_pipeline.training.losses.kl import kl_to_standard_normal


class BoLIDSystem(lightning.LightningModule):
    """L_diff with condition dropout, plus the KL of the body encoder.

    Noise, timesteps, dropout and the encoder's samples come from a generator seeded by (seed, step).

    Args:
        config: of the run.
        base: the base model, frozen; its U-Net gets the branches attached, in place.
        image_embed_dim: length of the reference photo's CLIP embedding.
        empty_text_LD: the empty prompt, encoded, in place of dropped captions.
    """

    empty_text_LD: torch.Tensor

    def __init__(
        self,
        config: TrainingConfig,
        base: StableDiffusionPipeline,
        image_embed_dim: int,
        empty_text_LD: torch.Tensor,
    ) -> None:
        super().__init__()
        self.config = config
        self.scaling_factor: float = base.vae.config.scaling_factor
        self.scheduler = DDPMScheduler.from_config(base.scheduler.config)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.body_encoder = BodyEncoder(
                latent_channels=base.vae.config.latent_channels,
                scaling_factor=self.scaling_factor,
                grid=config.encoder_grid,
                width=config.encoder_width,
                num_layers=config.encoder_layers,
                c_body_dim=config.c_body_dim,
            )
            self.unet = base.unet
            adapters.attach(
                self.unet,
                adapters.new_ref_state(self.unet, image_embed_dim),
                adapters.new_body_state(self.unet, config.c_body_dim, config.num_body_tokens),
            )
        if config.gradient_checkpointing:
            self.unet.enable_gradient_checkpointing()
        for parameter in self.trainable_parameters():
            parameter.requires_grad_(True)
        self.ema = EMAModel(self.trainable_parameters(), decay=config.ema_decay)
        self.register_buffer("empty_text_LD", empty_text_LD, persistent=False)

    def trainable_parameters(self) -> list[torch.nn.Parameter]:
        """Everything that training moves, in a fixed order."""
        return [*adapters.trainable_parameters(self.unet), *self.body_encoder.parameters()]

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """One loss; logs every term raw."""
        del batch_idx
        terms = self.loss_terms(batch, self._generator(self.global_step))
        loss = terms["l_diff"] + self.config.kl_weight * terms["kl"]
        self.log("loss", loss.detach(), prog_bar=True)
        self.log_dict({name: term.detach() for name, term in terms.items()})
        return loss

    def loss_terms(self, batch: Batch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """The raw terms of the objective for a batch: l_diff and kl, scalars."""
        latents_BCHW = batch["latents_BCHW"].float() * self.scaling_factor
        noise_BCHW = torch.randn(latents_BCHW.shape, generator=generator).to(latents_BCHW)
        timesteps_B = torch.randint(
            self.scheduler.config.num_train_timesteps, (len(latents_BCHW),), generator=generator
        ).to(latents_BCHW.device)
        posterior = self.body_encoder(batch["views_BNCGG"], batch["weights_BN"])
        text_BLD, ref_BD, body_BD = self._drop_conditions(batch, posterior.sample(generator), generator)
        prediction_BCHW = self.unet(
            self.scheduler.add_noise(latents_BCHW, noise_BCHW, timesteps_B),
            timesteps_B,
            text_BLD,
            added_cond_kwargs={"image_embeds": [ref_BD[:, None], body_BD[:, None]]},
        ).sample
        return {
            "l_diff": diffusion_loss(
                prediction_BCHW,
                prediction_target(self.scheduler, latents_BCHW, noise_BCHW, timesteps_B),
                timesteps_B,
                self.scheduler,
                min_snr_gamma=self.config.min_snr_gamma,
            ),
            "kl": kl_to_standard_normal(posterior.mean_BD, posterior.logvar_BD, posterior.has_views_B),
        }

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Follow every optimiser step with the running mean."""
        del outputs, batch, batch_idx
        self.ema.step(self.trainable_parameters())

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

    def _drop_conditions(
        self, batch: Batch, c_body_BD: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Text, reference and body with dropped ones emptied: the empty prompt, zero embeddings."""
        text_BLD = batch["text_BLD"]
        kept = draw_kept_conditions(len(text_BLD), self.config, generator)
        keep_text, keep_ref, keep_body = (
            keep_B.to(text_BLD.device) for keep_B in (kept.text_B, kept.ref_B, kept.body_B)
        )
        text_BLD = torch.where(keep_text[:, None, None], text_BLD, self.empty_text_LD).to(self.unet.dtype)
        ref_BD = batch["ref_BD"].to(self.unet.dtype) * keep_ref[:, None]
        return text_BLD, ref_BD, c_body_BD * keep_body[:, None]

    def _generator(self, step: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.config.seed * 1_000_003 + step)
