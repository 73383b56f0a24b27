"""The shares of several processes in a batch, in the random numbers and in the base model."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_training import make_training, random_data
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore

from bolid_pipeline.training.datamodule import BoLIDDataModule
from bolid_pipeline.training.presets import tiny
from bolid_pipeline.training.randomness import StepRandomness
from bolid_pipeline.training.sharding import share_frozen_weights
from bolid_pipeline.training.system import BoLIDSystem

CONFIG = replace(tiny(), batch_size=6)


def _make(folder: Path) -> tuple[BoLIDSystem, BoLIDDataModule]:
    return make_training(random_data(folder), CONFIG)


@pytest.mark.parametrize("num_processes", [2, 3])
def test_processes_share_a_batch_without_overlap_and_leave_nothing(tiny_stable_diffusion, num_processes):
    _, data = _make(tiny_stable_diffusion)
    for step in range(3):
        shares = [data.batch(step, rank, num_processes) for rank in range(num_processes)]
        for name, whole in data.batch(step).items():
            parts = [share[name] for share in shares]
            if isinstance(whole, torch.Tensor):
                assert [len(part) for part in parts] == [CONFIG.batch_size // num_processes] * num_processes
                assert torch.equal(torch.stack(parts, 1).flatten(0, 1), whole), name


def test_a_sample_gets_the_same_random_numbers_however_many_processes_there_are():
    whole = StepRandomness(seed=1, step=5).normal(6, 2)
    parts = [StepRandomness(seed=1, step=5, rank=rank, num_processes=3).normal(2, 2) for rank in range(3)]
    assert torch.equal(torch.stack(parts, 1).flatten(0, 1), whole)


@pytest.fixture
def first_of_two():
    """A process group in which this process is the first of two, and the second is imagined."""
    torch.distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("first_of_two")
def test_of_the_frozen_weights_a_process_keeps_its_half_and_what_is_trained_whole(tiny_stable_diffusion):
    system, _ = _make(tiny_stable_diffusion)
    trained = [parameter.numel() for parameter in system.trainable_parameters()]
    of_unet = list(system.branches.unet.parameters())
    frozen = sum(parameter.numel() for parameter in of_unet if not parameter.requires_grad)

    share_frozen_weights(system, system.branches.unet, "cpu", 2)

    assert [parameter.numel() for parameter in system.trainable_parameters()] == trained
    assert not any(isinstance(parameter, DTensor) for parameter in system.trainable_parameters())
    shared = [parameter for parameter in system.branches.unet.parameters() if isinstance(parameter, DTensor)]
    kept = sum(parameter.to_local().numel() for parameter in shared)
    assert kept == pytest.approx(frozen / 2, rel=0.02)  # odd numbers of rows, biases of the projections
