"""Previews are drawn where the training runs, every network of theirs with it."""

from types import SimpleNamespace
from typing import Any

import pytest
from pretend_gpu import bf16_mixed, only_on_gpu
from tiny_training import make_training, random_data

from bolid_pipeline.training.previews import Previews


@pytest.mark.parametrize("base_model", ["tiny_stable_diffusion", "tiny_sdxl"])
def test_previews_are_drawn_on_the_gpu(base_model, gpu, tmp_path, request, monkeypatch):
    monkeypatch.setattr("bolid_pipeline.training.previews._NUM_STEPS", 2)
    data = random_data(request.getfixturevalue(base_model))
    system, batches = make_training(data)
    previews = Previews(batches, tmp_path, every_n_steps=1)
    trainer: Any = SimpleNamespace(
        global_step=1, is_global_zero=True, precision_plugin=SimpleNamespace(forward_context=bf16_mixed)
    )
    system.to(gpu)
    system.on_fit_start()

    with only_on_gpu():
        previews.on_train_batch_end(trainer, system, None, None, 0)

    assert [path.name for path in tmp_path.iterdir()] == ["step_000000001.png"]
