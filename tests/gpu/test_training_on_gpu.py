"""A training with all terms on a GPU, its previews, its checkpoint, and pictures drawn by it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import save_tiny_clip
from tiny_training import make_training, random_data

from bodyworld.weights import weights_folder
from bolid_pipeline.models.pipeline import load_pipeline
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.training.checkpoint import LOSSES_FILE, PREVIEWS
from bolid_pipeline.training.config import (
    DiffusionConfig,
    FewStepConfig,
    HardwareConfig,
    IntervalsConfig,
    PriorConfig,
    Term,
)
from bolid_pipeline.training.fit import fit
from bolid_pipeline.training.loss_networks import LossNetworkFiles
from bolid_pipeline.training.presets import tiny
from bolid_pipeline.training.trainer import new_trainer, quiet_lightning

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore")]

ON = Term(weight=0.1)
CONFIG = replace(
    tiny(),
    steps=4,
    diffusion=DiffusionConfig(l_id=ON),
    few_step=FewStepConfig(
        every_n_steps=2, batch_size=2, l_id=ON, l_clip=ON, l_semantic=ON, l_layout=ON, checkpointing=True
    ),
    prior=PriorConfig(steps=2, width=16, num_layers=1),
    hardware=HardwareConfig(gradient_checkpointing=True),
    intervals=IntervalsConfig(checkpoint=2, preview=2),
)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    pose = WeightsFile(path=next(weights_folder("pose_estimator").glob("*.safetensors")))
    return LossNetworkFiles(pose=pose, clip=save_tiny_clip(tmp_path_factory.mktemp("tiny") / "clip"))


@pytest.mark.parametrize("base_model", ["tiny_stable_diffusion", "tiny_sdxl"])
def test_a_training_with_all_terms_draws_previews_and_people(base_model, networks, tmp_path, request):
    base = request.getfixturevalue(base_model)
    data = random_data(base)
    folder = fit(CONFIG, data, tmp_path / "checkpoint", networks=networks, progress=False)
    assert len(list((folder / PREVIEWS).iterdir())) == 2
    losses = (folder / LOSSES_FILE).read_text()
    assert "nan" not in losses
    pipeline = load_pipeline(folder, base, dtype=torch.float16).to("cuda")
    pipeline.set_progress_bar_config(disable=True)
    person = next(iter(pipeline.body_bank.identities))
    drawn = pipeline(
        "a photo", identity=person, height=64, width=64, num_inference_steps=2, output_type="np"
    ).images
    assert drawn.shape == (1, 64, 64, 3)
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize("compile_unet", [False, True])
def test_a_training_step_never_waits_for_the_gpu(
    compile_unet, networks, tiny_stable_diffusion, tmp_path, monkeypatch
):
    hardware = replace(CONFIG.hardware, compile_unet=compile_unet)
    rare = IntervalsConfig(log=100, checkpoint=100)
    config = replace(CONFIG, steps=16, prior=None, hardware=hardware, intervals=rare)
    system, batches = make_training(random_data(tiny_stable_diffusion), config, networks)
    step, seen = system.training_step, Counter[object]()

    def watched(batch, batch_idx):
        kind = (batch["latents_BCHW"].shape, batch["step"] % 2)  # every other step has the few-step half
        seen[kind] += 1
        # The first steps of a kind choose algorithms and compile, and may wait.
        torch.cuda.set_sync_debug_mode("error" if seen[kind] > 2 else "default")
        try:
            step(batch, batch_idx)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(system, "training_step", watched)
    with quiet_lightning():
        trainer = new_trainer(config, tmp_path, callbacks=[], progress=False)
        trainer.fit(system, datamodule=batches)
    assert max(seen.values()) > 2
