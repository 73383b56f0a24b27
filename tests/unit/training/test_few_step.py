"""Losses on generated pictures: their gradients are right, arrive where they should, and nowhere else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from tiny_models import save_tiny_clip
from tiny_training import make_training, random_data

from bodyworld.render.identity import sample_identity
from bodyworld.render.renderer import render_thumbnail
from bodyworld.render.scene import Scene
from bodyworld.weights import weights_folder
from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.models.samplers import SAMPLERS, make_sampler
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.training.config import DiffusionConfig, FewStepConfig, Loss, Term
from bolid_pipeline.training.few_step import draw_gradient_steps, few_step_sample
from bolid_pipeline.training.loss_networks import LossNetworkFiles
from bolid_pipeline.training.losses.keypoints import keypoint_loss
from bolid_pipeline.training.pose_network import open_pose_network
from bolid_pipeline.training.presets import PRESETS, tiny
from bolid_pipeline.training.randomness import StepRandomness

ON = Term(weight=1.0)
POSE = WeightsFile(path=next(weights_folder("pose_estimator").glob("*.safetensors")))


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> LossNetworkFiles:
    return LossNetworkFiles(pose=POSE, clip=save_tiny_clip(tmp_path_factory.mktemp("tiny") / "clip"))


def _make(
    folder: Path,
    networks: LossNetworkFiles,
    few_step: FewStepConfig,
    diffusion: DiffusionConfig | None = None,
):
    config = replace(tiny(), batch_size=3, few_step=few_step, diffusion=diffusion or DiffusionConfig())
    return make_training(random_data(folder), config, networks)


def _gradients(system: Any, data: Any) -> list[torch.Tensor]:
    """Gradients of the trained parameters, by the few-step half alone."""
    terms = system.few_step.terms(data.batch(0), StepRandomness(0, 0))
    torch.stack(list(terms.values())).sum().backward()
    return [torch.zeros(()) if p.grad is None else p.grad.clone() for p in system.trainable_parameters()]


@pytest.mark.parametrize("term", ["l_id", "l_clip", "l_semantic", "l_layout"])
def test_each_term_alone_reaches_both_branches_and_nothing_frozen(tiny_stable_diffusion, networks, term):
    system, data = _make(tiny_stable_diffusion, networks, replace(FewStepConfig(), **{term: ON}))
    trained = {id(parameter) for parameter in system.trainable_parameters()}
    frozen = [parameter for parameter in system.parameters() if id(parameter) not in trained]
    before = [parameter.clone() for parameter in frozen]

    gradients = _gradients(system, data)

    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    for projection in system.branches.unet.encoder_hid_proj.image_projection_layers:
        assert all(
            parameter.grad.any() for name, parameter in projection.named_parameters() if "weight" in name
        )
    assert any(parameter.grad.any() for parameter in system.branches.body_encoder.parameters())
    torch.optim.AdamW(system.trainable_parameters(), lr=0.1).step()
    assert all(parameter.grad is None for parameter in frozen)
    assert all(torch.equal(old, new) for old, new in zip(before, frozen, strict=True))


def test_absolute_l_id_and_the_one_step_estimate_reach_the_branches(tiny_stable_diffusion, networks):
    system, data = _make(
        tiny_stable_diffusion,
        networks,
        FewStepConfig(l_id=ON, id_mode="absolute"),
        DiffusionConfig(l_id=ON, id_max_timestep=1000),
    )
    assert any(gradient.any() for gradient in _gradients(system, data))
    system.zero_grad()
    terms = system.diffusion.terms(data.batch(0), StepRandomness(0, 0))
    terms[Loss.L_ID].backward()
    for projection in system.branches.unet.encoder_hid_proj.image_projection_layers:
        assert next(projection.parameters()).grad.any()


def test_samples_that_are_too_noisy_take_no_part_in_l_id(tiny_stable_diffusion, networks):
    system, data = _make(
        tiny_stable_diffusion, networks, FewStepConfig(l_id=ON), DiffusionConfig(l_id=ON, id_max_timestep=-1)
    )
    terms = system.diffusion.terms(data.batch(0), StepRandomness(0, 0))
    assert terms[Loss.L_ID] == 0


def test_recomputed_activations_give_the_same_gradient(tiny_stable_diffusion, networks):
    plain, checkpointed = (
        _gradients(
            *_make(
                tiny_stable_diffusion,
                networks,
                FewStepConfig(l_id=ON, l_layout=ON, gradient_steps=2, checkpointing=checkpointing),
            )
        )
        for checkpointing in (False, True)
    )
    for one, other in zip(plain, checkpointed, strict=True):
        torch.testing.assert_close(one, other)


def test_terms_without_their_network_are_refused(tiny_stable_diffusion):
    with pytest.raises(ConfigurationError, match="pose network"):
        _make(tiny_stable_diffusion, LossNetworkFiles(), FewStepConfig(l_id=ON))
    with pytest.raises(ConfigurationError, match="CLIP"):
        _make(tiny_stable_diffusion, LossNetworkFiles(), FewStepConfig(l_clip=ON))


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # diffusers 0.42's Euler under NumPy 2
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_perfect_prediction_gives_the_clean_latents_with_a_gradient(sampler, prediction_type):
    """The 'U-Net' knows the answer: whatever the noise, it names the noise or velocity that leads to `clean`."""
    base = DDPMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=prediction_type,
        clip_sample=False,
    )
    clean = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()

    def predict(step: int, noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        alpha_bar = base.alphas_cumprod[timesteps.long()][:, None, None, None]
        answer = clean if step == 3 else clean.detach()
        noise = (noisy - alpha_bar.sqrt() * answer) / (1 - alpha_bar).sqrt()
        if prediction_type == "epsilon":
            return noise
        return alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * answer

    sample = few_step_sample(
        predict,
        make_sampler(sampler, base.config),
        4,
        torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0)),
        torch.Generator().manual_seed(2),
    )
    # TCD ends on the first level of the schedule, whose noise has a standard deviation of 0.03.
    torch.testing.assert_close(sample, clean, atol=0.15, rtol=0)
    sample.sum().backward()
    assert clean.grad.abs().min() > 0


def test_the_gradient_goes_through_the_steps_that_are_asked_for():
    last = FewStepConfig(gradient_steps=2)
    assert draw_gradient_steps(last, StepRandomness(0, 0)) == {2, 3}
    at_random = replace(last, gradient_from="random")
    drawn = [draw_gradient_steps(at_random, StepRandomness(0, step)) for step in range(50)]
    assert drawn[7] == draw_gradient_steps(at_random, StepRandomness(0, 7))
    assert {len(steps) for steps in drawn} == {2}
    assert frozenset.union(*drawn) == {0, 1, 2, 3}


def test_a_step_with_the_few_step_half_takes_at_most_two_without(tiny_stable_diffusion):
    """In passes of samples through the U-Net, at the size of every preset; a backward pass counts as one."""
    presets = [
        (preset, preset.few_step) for preset in (make() for make in PRESETS.values()) if preset.few_step
    ]
    off = Term()  # the terms that need other networks
    (few_step,) = {
        replace(half, batch_size=1, l_id=off, l_clip=off, l_semantic=ON, l_layout=ON) for _, half in presets
    }
    system, data = _make(tiny_stable_diffusion, LossNetworkFiles(), few_step)
    costs: list[int] = []
    system.branches.unet.conv_in.register_forward_hook(
        lambda *call: costs.append(len(call[2]) * (3 if torch.is_grad_enabled() else 1))
    )
    system.few_step.terms(data.batch(0), StepRandomness(0, 0))
    assert len(costs) == 2 * few_step.num_steps  # with identity and without
    for preset, half in presets:
        of_l_diff = preset.batch_size * (3 if preset.hardware.gradient_checkpointing else 2)
        assert sum(costs) * (half.batch_size or preset.batch_size) <= of_l_diff


def _picture() -> torch.Tensor:
    rng = np.random.default_rng(3)
    photo = render_thumbnail([(sample_identity(rng), Scene())], 96, 64, rng)
    smooth = cv2.GaussianBlur(photo.image, (3, 3), 0)
    return torch.from_numpy(smooth).permute(2, 0, 1)[None].double() / 255


def test_the_gradient_of_the_pose_loss_agrees_with_finite_differences():
    network = open_pose_network(POSE, 96).double()
    picture = _picture().requires_grad_()
    wanted, visible = torch.rand(1, 17, 2, dtype=torch.float64), torch.ones(1, 17)

    def loss(pixels: torch.Tensor) -> torch.Tensor:
        return keypoint_loss(network(pixels).keypoints_BK2, wanted, visible)

    (gradient,) = torch.autograd.grad(loss(picture), picture)
    for seed in range(3):
        direction = torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed)).double()
        step = 1e-3
        with torch.no_grad():
            slope = (loss(picture + step * direction) - loss(picture - step * direction)) / (2 * step)
        assert (gradient * direction).sum().item() == pytest.approx(slope.item(), rel=0.02)


def test_the_pose_network_finds_what_the_renderer_drew():
    rng = np.random.default_rng(3)
    photo = render_thumbnail([(sample_identity(rng), Scene())], 96, 64, rng)
    pixels = torch.from_numpy(photo.image).permute(2, 0, 1)[None] / 255
    found = open_pose_network(POSE, 192)(pixels)
    visible = photo.keypoints[:, 2] > 0
    error = (found.keypoints_BK2[0].numpy() * (64, 96) - photo.keypoints[:, :2])[visible]
    assert np.median(np.linalg.norm(error, axis=1)) < 6
    assert found.person_B.item() > 0.3
    assert not found.confidence_BK.requires_grad


def test_a_detector_is_no_pose_network():
    detector = WeightsFile(path=next(weights_folder("face_detector").glob("*.safetensors")))
    with pytest.raises(ConfigurationError, match="pose network"):
        open_pose_network(detector, 96)
    with pytest.raises(ConfigurationError, match="100"):
        open_pose_network(POSE, 100)
