"""A training that does not fit says so in one line, and goes on where it was once it fits."""

from dataclasses import replace

import pytest
import torch
from tiny_training import random_data

from bolid_pipeline.errors import OutOfMemory
from bolid_pipeline.training import checkpoint
from bolid_pipeline.training.batch import Batch
from bolid_pipeline.training.config import FewStepConfig, HardwareConfig, IntervalsConfig, Term
from bolid_pipeline.training.fit import fit
from bolid_pipeline.training.presets import tiny
from bolid_pipeline.training.system import BoLIDSystem

CONFIG = replace(
    tiny(),
    steps=3,
    few_step=FewStepConfig(batch_size=3, l_layout=Term(weight=1.0, start_step=2)),
    intervals=IntervalsConfig(checkpoint=1),
)


def test_a_step_that_does_not_fit_is_named_and_the_state_is_kept(
    tiny_stable_diffusion, tmp_path, monkeypatch
):
    data, run_dir = random_data(tiny_stable_diffusion), tmp_path / "run"
    whole_step = BoLIDSystem.training_step
    steps: list[int] = []

    def step_of_a_small_gpu(self: BoLIDSystem, batch: Batch, batch_idx: int) -> None:
        if batch["step"] == 2 and not self.config.hardware.gradient_checkpointing:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        steps.append(batch["step"])
        whole_step(self, batch, batch_idx)

    monkeypatch.setattr(BoLIDSystem, "training_step", step_of_a_small_gpu)
    with pytest.raises(OutOfMemory) as failed:
        fit(CONFIG, data, run_dir, progress=False)
    assert str(failed.value) == (
        "a step with batch_size 4 and few_step.batch_size 3 does not fit in the memory of cpu: "
        "set training.hardware.gradient_checkpointing to true, and the training goes on from its saved state; "
        "or take a smaller preset or batch_size (`bolid plan` says what fits)"
    )
    assert not run_dir.exists()

    fit(replace(CONFIG, hardware=HardwareConfig(gradient_checkpointing=True)), data, run_dir, progress=False)
    assert steps == [0, 1, 2]
    assert checkpoint.read_metrics(run_dir)["steps"] == 3
