"""Mixed precision: bfloat16 for what is frozen, float32 for what is trained, and nearly the same losses."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import save_tiny_clip
from tiny_training import make_training, random_data

from bodyworld.weights import weights_folder
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.training import checkpoint
from bolid_pipeline.training.config import DiffusionConfig, FewStepConfig, HardwareConfig, Term
from bolid_pipeline.training.fit import fit
from bolid_pipeline.training.loss_networks import LossNetworkFiles
from bolid_pipeline.training.precision import halve_frozen_weights
from bolid_pipeline.training.presets import tiny

ON = Term(weight=1.0)
CONFIG = replace(
    tiny(),
    steps=1,
    diffusion=DiffusionConfig(l_id=ON),
    few_step=FewStepConfig(every_n_steps=1, l_id=ON, l_clip=ON, l_semantic=ON, l_layout=ON),
)


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> LossNetworkFiles:
    pose = next(weights_folder("pose_estimator").glob("*.safetensors"))
    clip = save_tiny_clip(tmp_path_factory.mktemp("tiny") / "clip")
    return LossNetworkFiles(pose=WeightsFile(path=pose), clip=clip)


def test_frozen_weights_are_halved_but_for_the_pose_network(tiny_stable_diffusion, networks):
    system, _ = make_training(random_data(tiny_stable_diffusion), CONFIG, networks)
    halve_frozen_weights(system.branches, system.networks, system.texts)
    dtypes = {
        name: {p.dtype for p in module.parameters()} for name, module in system.networks.named_children()
    }
    assert dtypes == {"pose": {torch.float32}, "clip": {torch.bfloat16}, "decoder": {torch.bfloat16}}
    assert {parameter.dtype for parameter in system.trainable_parameters()} == {torch.float32}
    frozen = [p for p in system.branches.unet.parameters() if not p.requires_grad and p.ndim > 1]
    assert {parameter.dtype for parameter in frozen} == {torch.bfloat16}
    assert system.branches.unet.dtype == torch.bfloat16


def test_mixed_precision_gives_nearly_the_losses_of_float32(tiny_stable_diffusion, networks, tmp_path):
    exact, mixed = (
        _losses(
            fit(
                replace(CONFIG, hardware=HardwareConfig(precision=precision)),
                random_data(tiny_stable_diffusion),
                tmp_path / precision,
                networks=networks,
                progress=False,
            )
        )
        for precision in ("32-true", "bf16-mixed")
    )
    assert mixed.keys() == exact.keys()
    assert mixed != exact
    for name, losses in exact.items():
        assert mixed[name] == pytest.approx(losses, rel=0.15), name


def _losses(run_dir: Path) -> dict[str, list[float]]:
    with (run_dir / checkpoint.LOSSES_FILE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}
