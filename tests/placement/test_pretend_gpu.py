"""The GPU of pretence refuses what a GPU refuses, and computes what the CPU computes."""

import pytest
import torch
from pretend_gpu import DevicesMixed, OnGpu, bf16_mixed, only_on_gpu
from torch.nn import functional as F

from bolid_pipeline.pretrained.device import find_device


def test_what_is_sent_there_says_so_and_keeps_its_values(gpu):
    numbers = torch.arange(3.0).to(find_device("auto"))
    assert (numbers.device, numbers.is_cuda) == (gpu, True)
    assert (numbers + 1).cpu().tolist() == [1, 2, 3]
    assert numbers[numbers > 0].sum().item() == 3
    assert torch.randn(2, device="cuda").device == gpu
    assert not isinstance(numbers.cpu(), OnGpu)


def test_a_module_moves_and_computes_the_same(gpu):
    norm = torch.nn.LayerNorm(4)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), norm)
    on_cpu = network(torch.ones(2, 3))
    network.to("cuda")
    assert {parameter.device for parameter in network.parameters()} == {gpu}
    assert torch.equal(network(torch.ones(2, 3, device="cuda")).cpu(), on_cpu)
    network.to(torch.bfloat16)
    assert network(torch.ones(2, 3, device="cuda", dtype=torch.bfloat16)).dtype == torch.bfloat16
    network.to("cpu", torch.float32)
    assert torch.equal(norm.weight, torch.ones(4))


@pytest.mark.usefixtures("gpu")
def test_autocast_computes_in_half_precision_as_on_a_gpu():
    square = torch.ones(2, 2, device="cuda")
    with bf16_mixed():
        assert (square @ square).dtype == torch.bfloat16
    assert (square @ square).dtype == torch.float32


@pytest.mark.parametrize(
    "mix",
    [
        lambda gpu: torch.ones(2) + torch.ones(2, device=gpu),
        lambda gpu: F.embedding(torch.zeros(2, dtype=torch.long, device=gpu), torch.ones(3, 4)),
        lambda gpu: torch.where(torch.ones(2, dtype=torch.bool), torch.ones(2, device=gpu), 0.0),
        lambda gpu: torch.ones(3)[torch.zeros(2, dtype=torch.long, device=gpu)],
        lambda gpu: torch.ones(2, device=gpu).add_(torch.ones(2)),
        lambda gpu: torch.randn(2, device=gpu, generator=torch.Generator()),
        lambda gpu: torch.randn(2, generator=torch.Generator(gpu)),
    ],
    ids=["sum", "embedding", "where", "index", "in place", "the CPU's generator", "the GPU's generator"],
)
def test_mixed_devices_are_refused(gpu, mix):
    with pytest.raises(DevicesMixed):
        mix(gpu)


def test_a_generator_of_the_gpu_draws_there(gpu):
    drawn = torch.randn(2, device=gpu, generator=torch.Generator(gpu).manual_seed(1))
    assert torch.equal(drawn.cpu(), torch.randn(2, generator=torch.Generator().manual_seed(1)))
    assert isinstance(torch.Generator(gpu), torch.Generator)


def test_a_network_that_stays_on_the_cpu_is_found(gpu):
    network = torch.nn.Linear(2, 2)
    with pytest.raises(DevicesMixed, match="Linear runs on the CPU"), only_on_gpu():
        network(torch.ones(2))
    with only_on_gpu():
        network.to(gpu)(torch.ones(2, device=gpu))


@pytest.mark.usefixtures("gpu")
def test_only_after_cpu_there_is_a_numpy_array():
    with pytest.raises(RuntimeError, match="numpy"):
        torch.ones(2, device="cuda").numpy()


@pytest.mark.usefixtures("gpu")
def test_numbers_and_indices_of_the_cpu_go_with_a_gpu():
    values = torch.arange(4.0, device="cuda")
    assert (values * torch.tensor(2.0)).cpu().tolist() == [0, 2, 4, 6]
    assert values[torch.tensor([1, 3])].cpu().tolist() == [1, 3]
    values[torch.tensor([0])] = 9.0
    assert values[:1].item() == 9
    torch.zeros(4).copy_(values)
