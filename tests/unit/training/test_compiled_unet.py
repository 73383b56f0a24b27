"""The compiled U-Net: one graph for each size of pictures, whatever else a training does, and the same predictions.

It runs in mixed precision, as on a GPU, and is traced but not fused, which is quick.
"""

from collections.abc import Iterator

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch._dynamo.testing import CompileCounter

from bolid_pipeline.models import adapters
from bolid_pipeline.models.text import EncodedText
from bolid_pipeline.training.conditions import Conditions
from bolid_pipeline.training.denoiser import Denoiser
from bolid_pipeline.training.losses.alignment import CrossAttentionRecord, recorded_cross_attention
from bolid_pipeline.training.precision import halve_unet

# Dynamo itself looks at the .grad of tensors that have none, and says that it looks through diffusers' caches.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`"),
]


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    """A small U-Net with both branches."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(8,),
        layers_per_block=1,
        mid_block_type=None,
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        attention_head_dim=2,
        cross_attention_dim=8,
    )
    adapters.attach(unet, adapters.new_ref_state(unet, 6), adapters.new_body_state(unet, 5))
    unet.requires_grad_(False)
    for parameter in adapters.trainable_parameters(unet):
        parameter.requires_grad_(True)
    halve_unet(unet, adapters.trainable_parameters(unet))
    return unet


@pytest.fixture(scope="module")
def compiled(unet: UNet2DConditionModel) -> Iterator[tuple[Denoiser, CompileCounter]]:
    """A denoiser, and the counter of its graphs."""
    torch._dynamo.reset()
    counter, denoiser = CompileCounter(), Denoiser(unet)
    denoiser.compile(backend=counter)
    yield denoiser, counter
    torch._dynamo.reset()


def _predict(
    denoiser: Denoiser, size: tuple[int, int], *, num_tokens: int = 7, with_hooks: bool = False
) -> torch.Tensor:
    seed = torch.Generator().manual_seed(0)
    conditions = Conditions(
        EncodedText(torch.randn(2, num_tokens, 8, generator=seed)),
        torch.randn(2, 6, generator=seed),
        torch.randn(2, 5, generator=seed).requires_grad_(torch.is_grad_enabled()),
        64,
        64,
    )
    noisy_BCHW = torch.randn(2, 4, *size, generator=seed)
    with torch.autocast("cpu", torch.bfloat16):
        return denoiser(noisy_BCHW, torch.full((2,), 9), conditions, with_hooks=with_hooks)


def test_each_size_of_pictures_is_compiled_once_and_predicts_the_same(unet, compiled):
    denoiser, counter = compiled
    before = counter.frame_count
    for num_graphs, size in [(1, (8, 8)), (2, (8, 12)), (2, (8, 8))]:
        prediction = _predict(denoiser, size)
        assert counter.frame_count == before + num_graphs
        torch.testing.assert_close(prediction, _predict(Denoiser(unet), size))
        prediction.sum().backward()
    assert all(parameter.grad is not None for parameter in adapters.trainable_parameters(unet))


def test_what_changes_during_a_training_compiles_nothing_anew(unet, compiled):
    denoiser, counter = compiled
    _predict(denoiser, (8, 8)).sum().backward()
    with torch.no_grad():  # the few-step half
        _predict(denoiser, (8, 8))
    before = counter.frame_count
    torch.optim.SGD(adapters.trainable_parameters(unet), lr=0.1).step()
    _predict(denoiser, (8, 8), num_tokens=14)  # captions of more windows
    record = CrossAttentionRecord()
    with recorded_cross_attention(unet, record):
        _predict(denoiser, (8, 8), with_hooks=True)
    with torch.no_grad():
        _predict(denoiser, (8, 8), num_tokens=21)
    assert counter.frame_count == before
    assert len(record.queries) == len(record.keys) == len(adapters.adapter_processors(unet))


def test_recomputed_activations_stay_in_one_graph(unet, compiled):
    denoiser, counter = compiled
    before = counter.frame_count
    unet.enable_gradient_checkpointing()
    try:
        _predict(denoiser, (8, 16)).sum().backward()
    finally:
        unet.disable_gradient_checkpointing()
    assert counter.frame_count == before + 1
