"""The LightningModule: it trains the branches by the objective's two halves, and saves what a training needs to go on.

The two halves have a backward pass each before one optimiser step, so that the memory of a step is that of the larger
half. Each term is logged raw, and times its weight under its name with `_weighted`.

On a GPU nothing in a step waits for it, apart from the reading of the losses: the CPU is then a step ahead.
"""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from diffusers.optimization import get_cosine_schedule_with_warmup
from diffusers.training_utils import EMAModel

from bolid_pipeline.pretrained.loading import first_words
from bolid_pipeline.training.batch import Batch
from bolid_pipeline.training.branches import Branches
from bolid_pipeline.training.config import Loss, TrainingConfig
from bolid_pipeline.training.denoiser import failed_to_compile
from bolid_pipeline.training.few_step import FewStepObjective
from bolid_pipeline.training.loss_networks import LossNetworks
from bolid_pipeline.training.objective import DiffusionObjective
from bolid_pipeline.training.precision import halve_frozen_weights, precision_of
from bolid_pipeline.training.randomness import StepRandomness
from bolid_pipeline.training.sharding import share_frozen_weights
from bolid_pipeline.training.text_encoders import TextEncoders

_logger = logging.getLogger(__name__)


class BoLIDSystem(lightning.LightningModule):
    """A frozen base model with trainable branches, and the objective that trains them.

    The random numbers of a step are a function of (seed, step), so a step that is run again gives the same result.

    Args:
        config: settings of the run.
        branches: the trained networks, attached to the U-Net of the base model.
        networks: the frozen networks of the losses; they move to a device with this module.
        texts: the frozen text encoders, likewise.
        diffusion: the half of the objective that every step minimises.
        few_step: the half that some steps minimise too; None where it is not configured.
    """

    def __init__(
        self,
        config: TrainingConfig,
        branches: Branches,
        networks: LossNetworks,
        texts: TextEncoders,
        diffusion: DiffusionObjective,
        few_step: FewStepObjective | None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.strict_loading = False  # checkpoints hold the trained weights, not the frozen base model
        self.config = config
        self.branches = branches
        self.networks = networks
        self.texts = texts
        self.diffusion = diffusion
        self.few_step = few_step
        self.ema = self._new_ema()
        self._is_rehearsed = True

    def trainable_parameters(self) -> list[torch.nn.Parameter]:
        """All trained parameters, in a fixed order."""
        return self.branches.trainable_parameters()

    def start_from(self, start: Path) -> None:
        """Copy the weights of a checkpoint folder or an IP-Adapter file. Raises as `Branches.load`."""
        self.branches.load(start)
        self.ema = self._new_ema()

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Add up the gradients of both halves, and take one optimiser step."""
        del batch_idx
        if not self._is_rehearsed:
            self._is_rehearsed = True
            trainer: Any = self.trainer
            self.rehearse(batch, trainer.datamodule.latent_shapes())
        optimizer: Any = self.optimizers()
        schedule: Any = self.lr_schedulers()
        step = batch["step"]
        randomness = self._randomness(step)
        terms = self.diffusion.terms(batch, randomness)
        losses = self._descend(terms, self.config.diffusion.weights_at(step))
        if self.few_step is not None and self.config.few_step is not None:
            weights = self.config.few_step.weights_at(step)
            if weights:
                losses |= self._descend(self.few_step.terms(batch, randomness, weights), weights)
        # Lightning's own clipping refuses fused optimisers, because of float16's loss scaling, which bf16 does without.
        torch.nn.utils.clip_grad_norm_(self.trainable_parameters(), self.config.optimizer.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()  # the running mean needs as much memory for a moment
        schedule.step()
        self.ema.step(self.trainable_parameters())
        if step % self.config.intervals.log == 0 and self.logger is not None:
            means = self.trainer.strategy.reduce(torch.stack(list(losses.values())), reduce_op="mean")
            self.logger.log_metrics(dict(zip(losses, means.tolist(), strict=True)), step=step)

    def rehearse(self, batch: Batch, latent_shapes: Collection[tuple[int, ...]]) -> None:
        """Compute every term once for every size of pictures, and forget the gradients.

        The U-Net is compiled for each of them now. A GPU that is too small for a size, or for a term that starts after
        thousands of steps, shows now too. A compiler that fails is done without.

        Args:
            batch: a batch of the training, whose pictures are replaced.
            latent_shapes: (C, H, W) of each size.
        """
        try:
            for shape in latent_shapes:
                self._compute_all_terms(batch, shape)
        except RuntimeError as error:
            if not failed_to_compile(error):
                raise
            _logger.warning("the U-Net is not compiled, so a step takes longer: %s", first_words(error))
            self.branches.denoiser.stop_compiling()
            self.rehearse(batch, latent_shapes)
        self.zero_grad()

    def _compute_all_terms(self, batch: Batch, latent_shape: tuple[int, ...]) -> None:
        latents_BCHW = batch["latents_BCHW"].new_zeros(len(batch["latents_BCHW"]), *latent_shape)
        of_shape: Batch = {**batch, "latents_BCHW": latents_BCHW}
        randomness = self._randomness(self.config.steps)  # after the last step, when every term has begun
        self._descend(self.diffusion.terms(of_shape, randomness), {})
        if self.few_step is not None:
            self._descend(self.few_step.terms(of_shape, randomness), {})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the trained weights and their running mean; frozen weights come from the base model's folder."""
        checkpoint["state_dict"] = {}
        checkpoint["trained"] = [parameter.detach() for parameter in self.trainable_parameters()]
        checkpoint["ema"] = self.ema.state_dict()
        if self.logger is not None:
            self.logger.save()  # writes the losses up to here; a resumed run logs the later ones again

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what `on_save_checkpoint` saved."""
        for parameter, saved in zip(self.trainable_parameters(), checkpoint["trained"], strict=True):
            parameter.data.copy_(saved)
        self.ema.load_state_dict(checkpoint["ema"])

    def configure_model(self) -> None:
        """Give the frozen weights the precision and layout of the device, or leave this process its share of them."""
        device_type = self.trainer.strategy.root_device.type
        if precision_of(self.config.hardware) == "bf16-mixed":
            halve_frozen_weights(self.branches, self.networks, self.texts)
        if self.config.hardware.shard_frozen_weights and self.trainer.world_size > 1:
            share_frozen_weights(self, self.branches.unet, device_type, self.trainer.world_size)
        elif device_type == "cuda":
            for module in (self.branches.unet, self.networks.decoder):
                module.to(memory_format=torch.channels_last)

    def on_fit_start(self) -> None:
        """Move the running mean to the device of the weights; on a GPU, get ready to compile and rehearse."""
        self.ema.to(self.device)
        if self.device.type != "cuda":
            return
        hardware = self.config.hardware
        if hardware.compile_unet and not hardware.shard_frozen_weights:
            self.branches.denoiser.compile()
        self._is_rehearsed = False

    def use_mean_weights(self) -> None:
        """Replace the trained weights by their running mean, for good."""
        self.ema.copy_to(self.trainable_parameters())

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine, per step."""
        optimizer = torch.optim.AdamW(
            self.trainable_parameters(),
            lr=self.config.optimizer.learning_rate,
            weight_decay=self.config.optimizer.weight_decay,
            fused=self.device.type == "cuda",
        )
        schedule = get_cosine_schedule_with_warmup(
            optimizer, self.config.optimizer.warmup_steps, self.config.steps
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _new_ema(self) -> EMAModel:
        return EMAModel(self.trainable_parameters(), decay=self.config.optimizer.ema_decay, foreach=True)

    def _descend(
        self, terms: Mapping[Loss, torch.Tensor], weights: Mapping[Loss, float]
    ) -> dict[str, torch.Tensor]:
        """Add the gradients of one half to the accumulated ones; returns its terms by name, raw and weighted."""
        weighted = {f"{loss}_weighted": weights.get(loss, 0.0) * term for loss, term in terms.items()}
        self.manual_backward(torch.stack(list(weighted.values())).sum())
        raw = {str(loss): term for loss, term in terms.items()}
        return {name: term.detach() for name, term in (raw | weighted).items()}

    def _randomness(self, step: int) -> StepRandomness:
        return StepRandomness(self.config.seed, step, self.global_rank, self.trainer.world_size, self.device)
