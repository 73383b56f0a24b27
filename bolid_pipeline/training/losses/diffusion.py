"""L_diff: the squared error of the U-Net's prediction, with the target that the base model was trained on."""

from typing import Any

import torch
from diffusers.training_utils import compute_snr

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.training.randomness import StepRandomness


def training_noise(shape: torch.Size, randomness: StepRandomness, *, offset: float = 0.0) -> torch.Tensor:
    """Normal noise (B, C, H, W), its mean shifted by `offset` times a normal number for each sample and channel.

    The shift teaches pictures that are darker or brighter than grey on the whole; 0.1 is usual, 0 is plain noise.
    (Offset noise: https://www.crosslabs.org/blog/diffusion-with-offset-noise)
    """
    noise_BCHW = randomness.normal(*shape)
    if offset:
        noise_BCHW = noise_BCHW + offset * randomness.normal(*shape[:2], 1, 1)
    return noise_BCHW


def prediction_target(
    scheduler: Any, latents_BCHW: torch.Tensor, noise_BCHW: torch.Tensor, timesteps_B: torch.Tensor
) -> torch.Tensor:
    """The target of the U-Net's prediction: the noise, or the velocity (arXiv 2202.00512).

    Raises:
        ConfigurationError: the base model predicts something else.
    """
    match scheduler.config.prediction_type:
        case "epsilon":
            return noise_BCHW
        case "v_prediction":
            return scheduler.get_velocity(latents_BCHW, noise_BCHW, timesteps_B)
        case other:
            raise ConfigurationError(f"base models that predict {other!r} cannot be trained on")


def one_step_sample(
    scheduler: Any, prediction_BCHW: torch.Tensor, noisy_BCHW: torch.Tensor, timesteps_B: torch.Tensor
) -> torch.Tensor:
    """The clean latents x0 that a prediction implies; trustworthy at low noise only.

    An error of a predicted noise comes back sqrt((1 - ab) / ab) times as large: .34 times at t = 100 of Stable
    Diffusion's 1000, 14.6 times at t = 999.
    """
    alpha_bar_B = scheduler.alphas_cumprod.to(noisy_BCHW.device)[timesteps_B][:, None, None, None]
    signal, noise = alpha_bar_B.sqrt(), (1 - alpha_bar_B).sqrt()
    if scheduler.config.prediction_type == "v_prediction":
        return signal * noisy_BCHW - noise * prediction_BCHW
    return (noisy_BCHW - noise * prediction_BCHW) / signal


def diffusion_loss(
    prediction_BCHW: torch.Tensor,
    target_BCHW: torch.Tensor,
    timesteps_B: torch.Tensor,
    scheduler: Any,
    *,
    min_snr_gamma: float | None = None,
    weights_BHW: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean squared error, each sample weighted by min(SNR, gamma) as min-SNR asks (arXiv 2303.09556).

    Args:
        prediction_BCHW: the U-Net's prediction.
        target_BCHW: from `prediction_target`.
        timesteps_B: the samples' noise levels.
        scheduler: the base model's noise schedule.
        min_snr_gamma: None weighs all noise levels alike.
        weights_BHW: weight of each latent cell, with a mean of 1 (see `losses.focus`); None weighs all alike.

    Returns:
        A scalar, float32 whatever the inputs are.
    """
    error_BHW = (prediction_BCHW.float() - target_BCHW.float()).square().mean(dim=1)
    error_B = (error_BHW if weights_BHW is None else error_BHW * weights_BHW).mean(dim=(1, 2))
    if min_snr_gamma is None:
        return error_B.mean()
    return (error_B * _min_snr_weights(timesteps_B, scheduler, min_snr_gamma)).mean()


def _min_snr_weights(timesteps_B: torch.Tensor, scheduler: Any, gamma: float) -> torch.Tensor:
    """min(SNR, gamma) / SNR for a predicted noise, min(SNR, gamma) / (SNR + 1) for a predicted velocity."""
    snr_B = compute_snr(scheduler, timesteps_B)
    divisor_B = snr_B + 1 if scheduler.config.prediction_type == "v_prediction" else snr_B
    return snr_B.clamp(max=gamma) / divisor_B
