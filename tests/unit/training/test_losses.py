import pytest
import torch
from diffusers import DDPMScheduler
from torch.distributions import Normal, kl_divergence

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.training.losses.diffusion import diffusion_loss, prediction_target
from bolid_pipeline.training.losses.kl import kl_to_standard_normal


def _scheduler(prediction_type: str = "epsilon") -> DDPMScheduler:
    return DDPMScheduler(beta_schedule="scaled_linear", prediction_type=prediction_type)


def _tensors(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(3, 4, 5, 6, generator=generator) for _ in range(2))


def test_kl_is_the_known_divergence():
    mean, logvar = torch.randn(4, 7), torch.randn(4, 7)
    expected = kl_divergence(Normal(mean, (0.5 * logvar).exp()), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(kl_to_standard_normal(mean, logvar, torch.ones(4).bool()), expected)


def test_people_without_views_do_not_count_in_kl():
    mean = torch.randn(2, 7)
    logvar = torch.zeros(2, 7)
    alone = kl_to_standard_normal(mean[:1], logvar[:1], torch.tensor([True]))
    torch.testing.assert_close(kl_to_standard_normal(mean, logvar, torch.tensor([True, False])), alone)
    assert kl_to_standard_normal(mean, logvar, torch.tensor([False, False])) == 0


def test_the_target_of_epsilon_is_the_noise():
    latents, noise = _tensors()
    assert prediction_target(_scheduler(), latents, noise, torch.tensor([1, 2, 3])) is noise


def test_the_target_of_v_is_the_velocity():
    latents, noise = _tensors()
    timesteps = torch.tensor([1, 500, 999])
    alpha_bar = _scheduler().alphas_cumprod[timesteps][:, None, None, None]
    expected = alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * latents
    target = prediction_target(_scheduler("v_prediction"), latents, noise, timesteps)
    torch.testing.assert_close(target, expected)


def test_other_targets_are_refused():
    latents, noise = _tensors()
    with pytest.raises(ConfigurationError, match="sample"):
        prediction_target(_scheduler("sample"), latents, noise, torch.tensor([1, 2, 3]))


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_min_snr_weights(prediction_type):
    prediction, target = _tensors()
    scheduler, timesteps, gamma = _scheduler(prediction_type), torch.tensor([5, 300, 950]), 5.0
    alpha_bar = scheduler.alphas_cumprod[timesteps]
    snr = alpha_bar / (1 - alpha_bar)
    weights = snr.clamp(max=gamma) / (snr if prediction_type == "epsilon" else snr + 1)
    expected = (weights * (prediction - target).square().mean((1, 2, 3))).mean()
    loss = diffusion_loss(prediction, target, timesteps, scheduler, min_snr_gamma=gamma)
    torch.testing.assert_close(loss, expected)


def test_without_min_snr_it_is_the_mean_squared_error():
    prediction, target = _tensors()
    loss = diffusion_loss(prediction, target, torch.tensor([5, 300, 950]), _scheduler())
    torch.testing.assert_close(loss, torch.nn.functional.mse_loss(prediction, target))
