"""In a step on a GPU the CPU waits for nothing, so it is always ahead with the next calls."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler
from pretend_gpu import bf16_mixed
from tiny_models import save_tiny_clip
from tiny_training import make_training, random_data
from waiting import Waits, WithoutWaiting

from bodyworld.weights import weights_folder
from bolid_pipeline.models.samplers import SAMPLERS, make_sampler
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.training.config import DiffusionConfig, FewStepConfig, Term
from bolid_pipeline.training.few_step import few_step_sample
from bolid_pipeline.training.loss_networks import LossNetworkFiles
from bolid_pipeline.training.presets import tiny
from bolid_pipeline.training.randomness import StepRandomness

ON = Term(weight=1.0)
CONFIG = replace(
    tiny(),
    diffusion=DiffusionConfig(l_id=ON, noise_offset=0.1, background_weight=0.5),
    few_step=FewStepConfig(
        every_n_steps=1, batch_size=2, checkpointing=False, l_id=ON, l_clip=ON, l_semantic=ON, l_layout=ON
    ),
)


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> LossNetworkFiles:
    pose = next(weights_folder("pose_estimator").glob("*.safetensors"))
    return LossNetworkFiles(
        pose=WeightsFile(path=pose), clip=save_tiny_clip(tmp_path_factory.mktemp("tiny") / "clip")
    )


@pytest.mark.parametrize("is_sdxl", [False, True])
def test_the_objective_waits_for_nothing(is_sdxl, tiny_stable_diffusion, tiny_sdxl, networks, gpu):
    base_model = tiny_sdxl if is_sdxl else tiny_stable_diffusion
    system, batches = make_training(random_data(base_model), CONFIG, networks)
    system.to(gpu)
    batch: Any = {
        name: value.to(gpu) if isinstance(value, torch.Tensor) else value
        for name, value in batches.batch(0).items()
    }

    def compute(step: int) -> None:
        with bf16_mixed():
            for half in (system.diffusion, system.few_step):
                assert half.terms(batch, StepRandomness(0, step, device=gpu))

    compute(0)  # tables move to the device once
    with WithoutWaiting():
        compute(1)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # diffusers 0.42's samplers under NumPy 2
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_sampler_waits(sampler, gpu):
    scheduler = make_sampler(sampler, DDPMScheduler(beta_schedule="scaled_linear").config)
    randomness = StepRandomness(0, 0, device=gpu)
    noise_BCHW = randomness.normal(2, 4, 4, 4)
    with WithoutWaiting():
        latents_BCHW = few_step_sample(
            lambda _, noisy_BCHW, timesteps_B: noisy_BCHW * timesteps_B[:, None, None, None] / 1000,
            scheduler,
            4,
            noise_BCHW,
            randomness.generator,
        )
    assert latents_BCHW.device == gpu


def test_after_the_backward_pass_nothing_waits_either(tiny_stable_diffusion, gpu):
    system, _ = make_training(random_data(tiny_stable_diffusion))
    system.to(gpu)
    system.on_fit_start()
    parameters = system.trainable_parameters()
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    with WithoutWaiting():
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        system.ema.step(parameters)


@pytest.mark.parametrize(
    "call",
    [
        lambda on_gpu: on_gpu.sum().item(),
        lambda on_gpu: bool((on_gpu > 0).any()),
        lambda on_gpu: on_gpu[on_gpu > 0],
        lambda on_gpu: on_gpu.nonzero(),
        lambda on_gpu: on_gpu[[0, 1]],
        lambda on_gpu: on_gpu.cpu(),
        lambda on_gpu: on_gpu + torch.ones(3).to(on_gpu.device),
        lambda on_gpu: on_gpu + on_gpu.new_tensor([1.0, 2.0, 3.0]),
        lambda on_gpu: on_gpu.copy_(torch.ones(3)),
    ],
    ids=[
        "number",
        "truth",
        "mask",
        "places",
        "list of indices",
        "to the CPU",
        "from the CPU",
        "new tensor",
        "copy",
    ],
)
def test_what_waits_is_caught(call, gpu):
    on_gpu = torch.arange(3.0, device=gpu)
    with WithoutWaiting(), pytest.raises(Waits):
        call(on_gpu)
    with WithoutWaiting():
        assert (on_gpu * 2 + torch.tensor(1.0)).device == gpu
