"""The Lightning branch: a clean picture in a few steps from pure noise, without guidance, with a gradient.

The idea is PuLID's (arXiv 2404.16022): a loss on a clean picture needs one, and few-step sampling gives one that is
true enough while the chain of gradients stays short. Which sampler gives a good picture in four steps depends on the
base model: Euler or DDIM for any, LCM and TCD for models distilled for them.
"""

from collections.abc import Callable, Collection
from typing import Any

import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, LCMScheduler, TCDScheduler
from torch.utils.checkpoint import checkpoint

from bolid_pipeline.training.config import LightningConfig, Sampler

_SAMPLERS: dict[Sampler, Any] = {
    "euler": EulerDiscreteScheduler,
    "ddim": DDIMScheduler,
    "lcm": LCMScheduler,
    "tcd": TCDScheduler,
}

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(noisy latents (B, C, H, W), timesteps (B,)) -> the U-Net's prediction."""


def few_step_sample(
    predict: Predict,
    base_scheduler_config: Any,
    noise_BCHW: torch.Tensor,
    config: LightningConfig,
    *,
    gradient_steps: Collection[int],
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Clean latents from noise; scaled, as the U-Net knows them.

    Args:
        predict: the U-Net under its conditions.
        base_scheduler_config: of the base model's scheduler.
        noise_BCHW: standard normal.
        config: sampler, number of steps, checkpointing.
        gradient_steps: steps whose prediction keeps its gradient. The sampler's own arithmetic keeps it always, so a
            gradient passes by the steps that are not named.
        generator: for samplers that add noise between steps (LCM, TCD).
    """
    scheduler = _SAMPLERS[config.sampler].from_config(base_scheduler_config, timestep_spacing="trailing")
    scheduler.set_timesteps(config.num_steps, device=noise_BCHW.device)
    latents_BCHW = noise_BCHW * scheduler.init_noise_sigma
    for step, timestep in enumerate(scheduler.timesteps):
        inputs = scheduler.scale_model_input(latents_BCHW, timestep), timestep.expand(len(latents_BCHW))
        if step not in gradient_steps:
            with torch.no_grad():
                prediction_BCHW = predict(*inputs)
        elif config.checkpointing:
            prediction_BCHW = checkpoint(predict, *inputs, use_reentrant=False)
        else:
            prediction_BCHW = predict(*inputs)
        latents_BCHW = _previous(scheduler, prediction_BCHW, timestep, latents_BCHW, generator)
    return latents_BCHW


def draw_gradient_steps(config: LightningConfig, generator: torch.Generator) -> frozenset[int]:
    """The last k steps, or k drawn at random."""
    if config.gradient_from == "last":
        return frozenset(range(config.num_steps - config.gradient_steps, config.num_steps))
    order = torch.randperm(config.num_steps, generator=generator).tolist()
    return frozenset(order[: config.gradient_steps])


def _previous(
    scheduler: Any,
    prediction_BCHW: torch.Tensor,
    timestep: torch.Tensor,
    latents_BCHW: torch.Tensor,
    generator: torch.Generator | None,
) -> torch.Tensor:
    """The latents one step cleaner; in float32, as the samplers' arithmetic wants."""
    stepped = scheduler.step(prediction_BCHW.float(), timestep, latents_BCHW, generator=generator)
    return stepped.prev_sample
