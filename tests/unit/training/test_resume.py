"""A training that is killed goes on, and nobody can tell from its losses or weights."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from random_latents import captions_of, random_latents
from tiny_models import save_tiny_clip

from bolid_pipeline.training import checkpoint
from bolid_pipeline.training.config import FewStepConfig, IntervalsConfig, OptimizerConfig, Term
from bolid_pipeline.training.fit import fit
from bolid_pipeline.training.loss_networks import LossNetworkFiles
from bolid_pipeline.training.presets import tiny

CONFIG = replace(
    tiny(),
    steps=7,
    batch_size=2,
    optimizer=OptimizerConfig(learning_rate=0.01, warmup_steps=2, ema_decay=0.9),
    few_step=FewStepConfig(every_n_steps=2, sampler="lcm", l_clip=Term(weight=0.1, start_step=2)),
    intervals=IntervalsConfig(checkpoint=2, preview=6),
)

KILLED_RUN = """
import os, signal, sys
from pathlib import Path

sys.path[:0] = {path}
import test_resume
from bolid_pipeline.training.system import BoLIDSystem

whole = BoLIDSystem.training_step

def training_step(self, batch, batch_idx):
    if batch["step"] == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, batch, batch_idx)

BoLIDSystem.training_step = training_step
test_resume.train(Path({base_model!r}), Path({clip!r}), Path({run_dir!r}))
"""


def train(base_model: Path, clip: Path, run_dir: Path) -> Path:
    """On one thread in every process: the last bit of a sum depends on how many share it."""
    latents = random_latents()
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return fit(
            CONFIG,
            base_model=base_model,
            latents=latents,
            captions=captions_of(latents),
            run_dir=run_dir,
            networks=LossNetworkFiles(clip=clip),
            progress=False,
        )
    finally:
        torch.set_num_threads(num_threads)


@pytest.mark.timeout(900)  # a second process imports torch; on a busy machine that takes minutes
def test_a_killed_training_goes_on_as_if_nothing_had_happened(tiny_stable_diffusion, tmp_path):
    clip = save_tiny_clip(tmp_path / "clip")
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            KILLED_RUN.format(
                path=sys.path,
                base_model=str(tiny_stable_diffusion),
                clip=str(clip),
                run_dir=str(tmp_path / "killed" / "demo"),
            ),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=840,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "killed" / "demo").exists()
    assert len(list((tmp_path / "killed").glob(".demo.training-*/state.ckpt"))) == 1

    resumed = train(tiny_stable_diffusion, clip, tmp_path / "killed" / "demo")
    whole = train(tiny_stable_diffusion, clip, tmp_path / "whole" / "demo")

    losses = [(run / checkpoint.LOSSES_FILE).read_text() for run in (resumed, whole)]
    assert losses[0] == losses[1]
    assert len(losses[0].splitlines()) == 1 + CONFIG.steps
    for name in (
        "ref_adapter.safetensors",
        "body_adapter.safetensors",
        "body_bank.safetensors",
        "body_encoder/diffusion_pytorch_model.safetensors",
        "logs/previews/step_000000006.png",
    ):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes(), name
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["demo"]


def test_what_another_training_left_is_not_gone_on_with(tmp_path):
    run_dir = tmp_path / "demo"
    work = checkpoint.open_work_folder(run_dir, "one")
    (work / "state.ckpt").touch()
    assert (checkpoint.open_work_folder(run_dir, "one") / "state.ckpt").exists()
    assert not (checkpoint.open_work_folder(run_dir, "two") / "state.ckpt").exists()
