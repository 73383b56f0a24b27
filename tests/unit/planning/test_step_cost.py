"""The count of a step: the same on tensors without content as on real ones, and as large as its parts say."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from bolid_pipeline.models.architectures import SD15, Architecture
from bolid_pipeline.planning import step_cost
from bolid_pipeline.planning.costs import read_counted
from bolid_pipeline.planning.meters import Meter
from bolid_pipeline.planning.step_cost import architecture_of, count_training
from bolid_pipeline.training.config import FewStepConfig, HardwareConfig, Term
from bolid_pipeline.training.presets import PRESETS, tiny

TINY = Architecture(
    unet={
        **SD15.unet,
        "sample_size": 8,
        "block_out_channels": (32, 32),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 1,
        "cross_attention_dim": 32,
    },
    vae={**SD15.vae, "block_out_channels": (32,) * 4, "layers_per_block": 1},
    text_encoders=(
        {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1},
    ),
    resolution_px=64,
)


@pytest.mark.long
def test_a_step_without_content_counts_like_the_real_one_with_terms_that_start_later(monkeypatch):
    few_step = FewStepConfig(batch_size=2, num_steps=1, l_semantic=Term(weight=1.0, start_step=9))
    config = replace(tiny(), few_step=few_step, hardware=HardwareConfig(gradient_checkpointing=True))
    pretended = count_training(config, TINY)
    monkeypatch.setattr(step_cost, "FakeTensorMode", lambda **_options: nullcontext())
    real = count_training(config, TINY)
    assert real.l_diff.operations == pretended.l_diff.operations
    assert real.few_step.operations == pretended.few_step.operations > real.l_diff.operations
    assert real.l_diff.peak_bytes == pytest.approx(pretended.l_diff.peak_bytes, rel=0.02)
    assert real.few_step.peak_bytes == pytest.approx(pretended.few_step.peak_bytes, rel=0.02)


@pytest.mark.parametrize(("is_recomputed", "kept_after_forward"), [(False, 40), (True, 10)])
def test_memory_is_counted_while_it_is_held(is_recomputed, kept_after_forward):
    meter = Meter()
    blocks = [nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()) for _ in range(10)]
    hidden = torch.randn(1000, 64, requires_grad=True)
    with meter:
        for block in blocks:
            hidden = checkpoint(block, hidden, use_reentrant=False) if is_recomputed else block(hidden)
        after_forward = meter.live_bytes
        hidden.sum().backward()
    activation = 1000 * 64 * 4
    # A ReLU keeps its result, a linear layer its input, which is the same tensor or the block's input.
    assert after_forward / activation == pytest.approx(kept_after_forward, rel=0.51)
    assert meter.operations == (3 + is_recomputed) * 20 * 2 * 1000 * 64 * 64
    del hidden
    assert meter.live_bytes < 5 * activation


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_counts_that_come_with_the_package_are_those_of_todays_step():
    counted = count_training(PRESETS["sd15_12gb"](), architecture_of("sd15_12gb"))
    stored = read_counted()["sd15_12gb"]
    assert counted.l_diff.operations == pytest.approx(stored.l_diff.operations, rel=0.01)
    assert counted.peak_bytes == pytest.approx(stored.peak_bytes, rel=0.01)
