"""The LightningModule: how the objective's two halves move the branches, and what a training needs to go on.

The two halves have a backward pass each before one optimiser step, so that the memory of a step is that of the larger
half. Each term is logged raw, and times its weight under its name with `_weighted`.
"""

from pathlib import Path
from typing import Any

import lightning
import torch
from diffusers.optimization import get_cosine_schedule_with_warmup
from diffusers.training_utils import EMAModel

from bolid_pipeline.models.base import BaseModel
from bolid_pipeline.models.text import EncodedText
from bolid_pipeline.training.branches import Branches
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.datamodule import Batch
from bolid_pipeline.training.loss_networks import LossNetworks
from bolid_pipeline.training.objective import Objective, Terms
from bolid_pipeline.training.randomness import StepRandomness
from bolid_pipeline.training.sharding import share_frozen_weights


class BoLIDSystem(lightning.LightningModule):
    """A frozen base model with trainable branches, and the objective that trains them.

    What a step draws at random is a function of (seed, step), so it does the same whenever it runs.

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
        self.branches = Branches(config, base, image_embed_dim)
        self.objective = Objective(config, self.branches, base, empty_text, networks)
        self.ema = self._new_ema()

    def trainable_parameters(self) -> list[torch.nn.Parameter]:
        """Everything that training moves, in a fixed order."""
        return self.branches.trainable_parameters()

    def start_from(self, checkpoint: Path) -> None:
        """Take over the weights of a checkpoint folder; errors as `Branches.load`."""
        self.branches.load(checkpoint)
        self.ema = self._new_ema()

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Both halves' gradients, one optimiser step."""
        del batch_idx
        optimizer: Any = self.optimizers()
        schedule: Any = self.lr_schedulers()
        step = batch["step"]
        randomness = self._randomness(step)
        optimizer.zero_grad()
        terms = self.objective.diffusion_terms(batch, randomness)
        losses = self._descend(terms, self._diffusion_weights(step))
        branch = self.config.lightning
        if branch is not None and (weights := branch.weights_at(step)):
            terms = self.objective.lightning_terms(batch, randomness, weights)
            losses |= self._descend(terms, weights)
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
            share_frozen_weights(self, self.branches.unet, device_type, self.trainer.world_size)

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

    def _new_ema(self) -> EMAModel:
        return EMAModel(self.trainable_parameters(), decay=self.config.ema_decay)

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
