"""Before its first step on a GPU a training computes every term for every size of pictures; here, on the CPU."""

import logging
from dataclasses import replace

import pytest
from random_latents import random_latents
from tiny_training import random_data

from bolid_pipeline.training import checkpoint
from bolid_pipeline.training.config import FewStepConfig, Term
from bolid_pipeline.training.fit import fit
from bolid_pipeline.training.objective import DiffusionObjective
from bolid_pipeline.training.presets import tiny
from bolid_pipeline.training.system import BoLIDSystem

CONFIG = replace(tiny(), few_step=FewStepConfig(l_layout=Term(weight=1.0, start_step=1)))


def _broken_compiler(*_: object) -> None:
    raise RuntimeError("no C compiler here")


def _be_on_a_gpu(system: BoLIDSystem) -> None:
    system.branches.denoiser.compile(backend=_broken_compiler)
    system._is_rehearsed = False


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_rehearsal_sees_every_size_and_leaves_no_trace(
    tiny_stable_diffusion, tmp_path, monkeypatch, caplog
):
    latents = random_latents()
    data = random_data(tiny_stable_diffusion, latents)
    plain = fit(CONFIG, data, tmp_path / "plain", progress=False)

    shapes: list[tuple[int, ...]] = []
    terms = DiffusionObjective.terms

    def noted(self, batch, randomness):
        shapes.append(tuple(batch["latents_BCHW"].shape[1:]))
        return terms(self, batch, randomness)

    monkeypatch.setattr(DiffusionObjective, "terms", noted)
    monkeypatch.setattr(BoLIDSystem, "on_fit_start", _be_on_a_gpu)
    with caplog.at_level(logging.WARNING):
        rehearsed = fit(CONFIG, data, tmp_path / "rehearsed", progress=False)

    assert "the U-Net is not compiled, so a step takes longer" in caplog.text
    assert "no C compiler here" in caplog.text
    sizes = set(latents.layout.latent_shapes.values())
    assert len(sizes) > 1
    assert set(shapes[1 : 1 + len(sizes)]) == sizes  # the first one met the broken compiler
    assert len(shapes) == 1 + len(sizes) + CONFIG.steps
    assert (rehearsed / checkpoint.LOSSES_FILE).read_text() == (plain / checkpoint.LOSSES_FILE).read_text()
