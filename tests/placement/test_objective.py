"""Every term of the objective is computed on the GPU, and is there what it is on the CPU."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pretend_gpu import bf16_mixed, only_on_gpu
from tiny_models import save_tiny_clip
from tiny_training import make_training, random_data

from bodyworld.weights import weights_folder
from bolid_pipeline.models.samplers import SAMPLERS, SamplerName
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.training.config import (
    BodyConfig,
    DiffusionConfig,
    FewStepConfig,
    Loss,
    Term,
    TrainingConfig,
)
from bolid_pipeline.training.loss_networks import LossNetworkFiles
from bolid_pipeline.training.precision import halve_frozen_weights
from bolid_pipeline.training.presets import tiny
from bolid_pipeline.training.randomness import StepRandomness
from bolid_pipeline.training.system import BoLIDSystem

ON = Term(weight=1.0)
DIFFUSION = DiffusionConfig(l_id=ON, id_max_timestep=1000, background_weight=0.5, noise_offset=0.1)
FEW_STEP = FewStepConfig(num_steps=2, l_id=ON, l_clip=ON, l_semantic=ON, l_layout=ON)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> LossNetworkFiles:
    pose = WeightsFile(path=next(weights_folder("pose_estimator").glob("*.safetensors")))
    return LossNetworkFiles(pose=pose, clip=save_tiny_clip(tmp_path_factory.mktemp("tiny") / "clip"))


def _config(**changes: Any) -> TrainingConfig:
    return replace(tiny(), batch_size=2, diffusion=DIFFUSION, few_step=FEW_STEP, **changes)


def _terms(system: BoLIDSystem, batch: Any, device: Any = "cpu") -> dict[Loss, torch.Tensor]:
    """All terms of both halves."""
    assert system.few_step is not None
    randomness = StepRandomness(0, 0, device=device)
    return system.diffusion.terms(batch, randomness) | system.few_step.terms(batch, randomness)


def _on_gpu(system: BoLIDSystem, batch: Any, gpu: torch.device) -> dict[Loss, torch.Tensor]:
    """The terms, after what Lightning does before a step."""
    system.to(gpu)
    system.on_fit_start()
    with only_on_gpu():
        terms = _terms(system, system.transfer_batch_to_device(batch, gpu, 0), gpu)
    assert {term.device for term in terms.values()} == {gpu}
    return terms


def _assert_close(found: Mapping[Loss, torch.Tensor], expected: Mapping[Loss, torch.Tensor]) -> None:
    assert found.keys() == expected.keys() == set(Loss)
    for loss, term in expected.items():
        assert found[loss].item() == pytest.approx(term.item(), rel=1e-4, abs=1e-6), loss


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' Euler
def test_all_terms_with_every_sampler(tiny_stable_diffusion, networks, gpu):
    system, batches = make_training(random_data(tiny_stable_diffusion), _config(), networks)
    batch = batches.batch(0)

    def use(sampler: SamplerName) -> None:
        assert system.few_step is not None
        system.few_step._config = replace(FEW_STEP, sampler=sampler)

    expected: dict[SamplerName, dict[Loss, torch.Tensor]] = {}
    for sampler in SAMPLERS:
        use(sampler)
        expected[sampler] = _terms(system, batch)
    for sampler in SAMPLERS:
        use(sampler)
        _assert_close(_on_gpu(system, batch, gpu), expected[sampler])


def test_all_terms_of_sdxl_with_dense_bodies_and_a_reference_encoder(tiny_sdxl, networks, gpu):
    body = BodyConfig(c_body_dim=64, num_tokens=4, is_dense=True, grid=8, width=32, num_layers=1)
    config = _config(body=body, ref_encoder_layers=1)
    system, batches = make_training(random_data(tiny_sdxl), config, networks)
    batch = batches.batch(0)
    expected = _terms(system, batch)
    _assert_close(_on_gpu(system, batch, gpu), expected)


@pytest.mark.parametrize("base_model", ["tiny_stable_diffusion", "tiny_sdxl"])
def test_frozen_weights_in_half_precision_fit_the_trained_ones(base_model: str, networks, gpu, request):
    folder: Path = request.getfixturevalue(base_model)
    system, batches = make_training(random_data(folder), _config(ref_encoder_layers=1), networks)
    halve_frozen_weights(system.branches, system.networks, system.texts)
    with bf16_mixed():
        terms = _on_gpu(system, batches.batch(0), gpu)
    assert all(term.isfinite().item() for term in terms.values())
