"""A training that is killed goes on, and nobody can tell from its losses or weights."""

import signal

import fork_server
import pytest
from killed_training import CONFIG, train, train_and_die
from published_adapters import save_ip_adapter
from tiny_models import IMAGE_EMBED_DIM, save_tiny_clip

from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.training import checkpoint


@pytest.mark.timeout(900)  # the fork server imports torch; on a busy machine that takes minutes
def test_a_killed_training_goes_on_as_if_nothing_had_happened(tiny_stable_diffusion, tmp_path):
    clip = save_tiny_clip(tmp_path / "clip")
    unet = load_base_model(tiny_stable_diffusion).unet
    start = save_ip_adapter(tmp_path / "ip-adapter.safetensors", unet, IMAGE_EMBED_DIM)
    run_dirs = [tmp_path / folder / "demo" for folder in ("killed", "whole")]
    log = tmp_path / "killed.log"
    killed = fork_server.start(train_and_die, tiny_stable_diffusion, clip, start, run_dirs[0], output=log)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL, log.read_text()
    assert not run_dirs[0].exists()
    assert len(list((tmp_path / "killed").glob(".demo.training-*/state.ckpt"))) == 1

    resumed, whole = [train(tiny_stable_diffusion, clip, start, run_dir) for run_dir in run_dirs]

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
