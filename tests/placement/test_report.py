"""What is made of a finished training, on the GPU: the body bank, the body prior, the report."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pretend_gpu import only_on_gpu
from tiny_models import save_tiny_clip
from tiny_training import make_training, random_data

from bolid_pipeline.evaluation.config import EvaluationConfig
from bolid_pipeline.evaluation.data import EvaluationData
from bolid_pipeline.evaluation.evaluate import evaluate
from bolid_pipeline.evaluation.report import Report
from bolid_pipeline.models.body_prior import sample_bodies
from bolid_pipeline.pretrained.device import Device
from bolid_pipeline.training.config import PriorConfig
from bolid_pipeline.training.fit import _body_bank, _fit_prior, fit
from bolid_pipeline.training.presets import tiny

CONFIG = EvaluationConfig(
    prompts=("a {who} standing",),
    num_identities=2,
    height_px=80,
    width_px=48,
    num_inference_steps=2,
    num_timesteps=2,
    max_heldout=1,
)


@pytest.mark.parametrize(
    "base_model", ["tiny_stable_diffusion", pytest.param("tiny_sdxl", marks=pytest.mark.long)]
)
def test_the_report_is_drawn_and_measured_on_the_gpu(base_model, gpu, tmp_path, request):
    folder: Path = request.getfixturevalue(base_model)
    data = EvaluationData(
        checkpoint=fit(
            replace(tiny(), steps=1), random_data(folder), tmp_path / "checkpoint", progress=False
        ),
        trained_on=random_data(folder),
        clip=save_tiny_clip(tmp_path / "clip"),
    )

    def report(device: Device) -> Report:
        return evaluate(
            CONFIG,
            data,
            read_photo=lambda _: np.full((90, 60, 3), 200, np.uint8),
            report_dir=tmp_path / device,
            device=device,
        )

    expected = report("cpu").metrics
    with only_on_gpu():
        found = report("auto").metrics
    assert found == pytest.approx(expected, rel=0.02, abs=0.01)
    assert found != expected
    assert gpu.type == "cuda"


def test_bodies_and_their_prior_are_made_on_the_gpu(tiny_stable_diffusion, gpu, tmp_path, monkeypatch):
    prior = PriorConfig(width=16, num_layers=1, num_heads=2, steps=1, batch_size=2)
    config = replace(tiny(), prior=prior)
    system, batches = make_training(random_data(tiny_stable_diffusion), config)
    expected = _body_bank(system, batches, torch.device("cpu"))
    monkeypatch.setattr(torch.Tensor, "backward", lambda _: None)  # which a GPU of pretence has not
    with only_on_gpu():
        bank = _body_bank(system, batches, gpu)
        fitted = _fit_prior(prior, system, bank, batches, tmp_path / "vectors", gpu)
        bodies = sample_bodies(fitted.to(gpu), torch.ones(2, 32), generator=torch.Generator())
    torch.testing.assert_close(bank.c_body_PD, expected.c_body_PD)
    assert (bodies.device, bodies.isfinite().all().item()) == (gpu, True)
