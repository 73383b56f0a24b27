import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.training.losses.diffusion import (
    diffusion_loss,
    one_step_sample,
    prediction_target,
    training_noise,
)
from bolid_pipeline.training.losses.keypoints import keypoint_loss
from bolid_pipeline.training.losses.proportions import (
    LIMBS,
    limb_lengths,
    proportion_loss,
    typical_proportions,
)
from bolid_pipeline.training.randomness import StepRandomness


def _scheduler(prediction_type: str = "epsilon") -> DDPMScheduler:
    return DDPMScheduler(beta_schedule="scaled_linear", prediction_type=prediction_type)


def _tensors(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(3, 4, 5, 6, generator=generator) for _ in range(2))


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


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_right_prediction_gives_the_clean_latents_back(prediction_type):
    latents, noise = _tensors()
    scheduler, timesteps = _scheduler(prediction_type), torch.tensor([5, 300, 950])
    noisy = scheduler.add_noise(latents, noise, timesteps)
    target = prediction_target(scheduler, latents, noise, timesteps)
    torch.testing.assert_close(
        one_step_sample(scheduler, target, noisy, timesteps), latents, atol=1e-4, rtol=1e-4
    )


def test_offset_noise_shifts_whole_channels():
    shape = torch.Size((64, 4, 16, 16))
    plain, shifted = (training_noise(shape, StepRandomness(0, 0), offset=offset) for offset in (0.0, 0.5))
    torch.testing.assert_close((shifted - plain).std((2, 3)), torch.zeros(64, 4), atol=1e-5, rtol=0)
    assert (shifted - plain).std().item() == pytest.approx(0.5, rel=0.15)


def test_only_visible_keypoints_count():
    wanted = torch.rand(2, 17, 2)
    found = wanted.clone()
    found[:, 3] += 0.1
    weights = torch.ones(2, 17)
    assert keypoint_loss(found, wanted, weights).item() == pytest.approx(0.02)
    weights[:, 3] = 0
    assert keypoint_loss(found, wanted, weights) == 0
    assert keypoint_loss(found, wanted, torch.zeros(2, 17)) == 0


def test_half_a_body_counts_as_a_whole_one():
    wanted, half = torch.zeros(1, 17, 2), torch.zeros(1, 17)
    half[0, :8] = 1
    found = wanted + 0.1
    torch.testing.assert_close(
        keypoint_loss(found, wanted, half), keypoint_loss(found, wanted, torch.ones(1, 17))
    )


def _body(seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 17, 2, generator=torch.Generator().manual_seed(seed))


def test_proportions_do_not_depend_on_size_place_or_direction():
    body, sure = _body(), torch.ones(1, 17)
    wanted, weights = limb_lengths(body, sure, aspect=0.6)
    turned = torch.stack([body[..., 1] / 0.6, body[..., 0] * 0.6], -1)  # by 90 degrees, in square pixels
    for moved in (body * 0.5, body + 3.0, turned):
        found, _ = limb_lengths(moved, sure, aspect=0.6)
        assert proportion_loss(found, wanted, weights).item() == pytest.approx(0, abs=1e-4)
    other, _ = limb_lengths(_body(1), sure, aspect=0.6)
    assert proportion_loss(other, wanted, weights) > 0.05


def test_a_limb_is_as_sure_as_its_surer_end_is_not():
    confidence = torch.ones(1, 17)
    _, whole = limb_lengths(_body(), confidence, aspect=1.0)
    confidence[0, 7] = 0.2
    _, weights = limb_lengths(_body(), confidence, aspect=1.0)
    expected = torch.tensor([0.2 if 7 in limb else 1.0 for limb in LIMBS])
    torch.testing.assert_close(weights[0], whole[0] * expected)


@given(st.floats(0, 1), st.floats(0, 2 * np.pi))
def test_a_limb_says_less_the_shorter_it_is_and_its_pull_has_a_bound(length, angle):
    first, second = LIMBS[0]
    body = torch.zeros(1, 17, 2)
    body[0, second] = length * torch.tensor([np.cos(angle), np.sin(angle)])
    body.requires_grad_(True)
    lengths, weights = limb_lengths(body, torch.ones(1, 17), aspect=1.0)
    assert weights[0, 0] > 0.9 or length < 0.1
    assert weights[0, 0] < 0.1 or length > 0.009
    (lengths * weights)[0, 0].backward()
    assert body.grad[0, first].norm() <= 1 / 0.06 + 1e-3


def test_of_proportions_that_are_far_off_each_further_bit_counts_alike():
    wanted, weights = torch.zeros(1, len(LIMBS)), torch.ones(1, len(LIMBS))
    pulls: list[float] = []
    for difference in (0.1, 1.0, 10.0):
        found = torch.zeros(1, len(LIMBS))
        found[0, :2] = torch.tensor([difference, -difference])  # as much longer as shorter: the size stays
        found.requires_grad_(True)
        proportion_loss(found, wanted, weights).backward()
        pulls.append(found.grad[0, 0].item() * len(LIMBS))
    assert pulls == pytest.approx([0.2, 0.5, 0.5])


def test_a_persons_proportions_are_found_in_foreshortened_photos():
    rng = np.random.default_rng(0)
    true = rng.normal(size=len(LIMBS))
    lengths = true + rng.normal(size=(40, 1))  # figures of many sizes
    shortened = rng.random(lengths.shape) < 0.3
    lengths = lengths - shortened * rng.uniform(0.1, 1.0, lengths.shape)
    weights = (rng.random(lengths.shape) < 0.8).astype(float)
    weights[:, 2] = 0
    found, shares = typical_proportions(lengths, weights)
    seen = np.arange(len(LIMBS)) != 2
    difference = (found - true)[seen]
    assert np.abs(difference - difference.mean()).max() < 0.1
    assert shares[2] == 0
    assert shares[seen].min() > 0.6


def test_nobody_seen_has_no_proportions():
    found, shares = typical_proportions(np.zeros((3, len(LIMBS))), np.zeros((3, len(LIMBS))))
    assert not found.any()
    assert not shares.any()


def test_several_processes_draw_what_one_draws():
    whole = StepRandomness(3, 7)
    parts = [StepRandomness(3, 7, rank, 2) for rank in range(2)]
    for draw in (lambda r, n: r.normal(n, 2, 3), lambda r, n: r.uniform(n), lambda r, n: r.integers(1000, n)):
        expected = draw(whole, 6)
        for rank, part in enumerate(parts):
            assert torch.equal(draw(part, 3), expected[rank::2])
