"""LCM-LoRA and Hyper-SD, in the published format: fused into the U-Net, under the branches, or refused in one line."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from diffusers import LCMScheduler, UNet2DConditionModel
from PIL import Image
from published_loras import ALPHA, METADATA, published_size, save_few_step_lora
from safetensors.torch import load_file, save_file
from tiny_pipelines import draw, load_stock, save_checkpoint

from bolid_pipeline.cli import main
from bolid_pipeline.errors import WeightsError
from bolid_pipeline.models.architectures import SD15, SDXL
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.few_step_lora import fuse_few_step_lora
from bolid_pipeline.models.pipeline import load_pipeline
from bolid_pipeline.pretrained.weights import WeightsFile
from resources.deployments import DEPLOYMENTS, Role
from resources.model_hub import ModelHub, model_hub_of
from resources.published_models import published_model

LCM = "pytorch_lora_weights.safetensors"
HYPER = "Hyper-SD15-4steps-lora.safetensors"
RANK = 4


def _hub(address: str, base_model: Path, folder: Path) -> ModelHub:
    """The hub of a deployment that names this LoRA, and whose weights lie in `folder`."""
    deployment = DEPLOYMENTS["theplace_sd15"](folder / "data")
    repositories: dict[Role, str] = {
        **deployment.weight_repositories,
        "base_model": str(base_model),
        "few_step_lora": address,
    }
    return model_hub_of(replace(deployment, weight_repositories=repositories, weights_dir=folder / "weights"))


@pytest.mark.parametrize(
    ("address", "dtype", "metadata"),
    [
        (f"latent-consistency/lcm-lora-sdv1-5/{LCM}", "F16", METADATA),
        (f"ByteDance/Hyper-SD/{HYPER}", "F32", None),
        ("ByteDance/Hyper-SD/Hyper-SDXL-4steps-lora.safetensors", "F32", METADATA),
    ],
)
def test_names_and_shapes_give_the_size_of_the_published_file(
    address: str, dtype: str, metadata: dict[str, str] | None
) -> None:
    with torch.device("meta"):
        unet = UNet2DConditionModel(**(SDXL if "SDXL" in address else SD15).unet)
    assert published_size(unet, dtype, metadata) == published_model(address).size_bytes


@pytest.mark.parametrize("name", [LCM, HYPER])
def test_every_layer_of_the_file_is_added_to_the_unet_and_nothing_else_changes(
    name: str, base_model: Path, tmp_path: Path
) -> None:
    base, before = load_base_model(base_model), load_base_model(base_model).unet.state_dict()
    file = _hub(str(save_few_step_lora(tmp_path / name, base.unet, RANK)), base_model, tmp_path).file(
        "few_step_lora"
    )
    defaults = fuse_few_step_lora(base, file)

    state, after = load_file(file.path), base.unet.state_dict()
    assert after.keys() == before.keys()
    num_changed = 0
    for key, old in before.items():
        layer = f"lora_unet_{key.removesuffix('.weight').replace('.', '_')}"
        expected = old
        if f"{layer}.alpha" in state and key.endswith(".weight"):
            down = state[f"{layer}.lora_down.weight"].float().flatten(1)
            up = state[f"{layer}.lora_up.weight"].float().flatten(1)
            expected = old + ALPHA / RANK * (up @ down).view_as(old)
            num_changed += 1
        torch.testing.assert_close(after[key], expected)
    assert num_changed == len(state) // 3
    sampler = {LCM: "LCMScheduler", HYPER: "DDIMScheduler"}[name]
    assert (type(base.scheduler).__name__, base.scheduler.config.timestep_spacing) == (sampler, "trailing")
    assert defaults == {"num_inference_steps": 4, "guidance_scale": 1.0}


def test_a_file_of_eight_steps_that_keeps_guidance_says_so(
    tiny_stable_diffusion: Path, tmp_path: Path
) -> None:
    base = load_base_model(tiny_stable_diffusion)
    file = save_few_step_lora(tmp_path / "Hyper-SD15-8steps-CFG-lora.safetensors", base.unet)
    defaults = fuse_few_step_lora(base, WeightsFile(path=file))
    assert defaults == {"num_inference_steps": 8, "guidance_scale": 5.0}


def test_branches_act_on_the_fused_unet_and_without_them_it_is_the_fused_base_model(
    base_model: Path, tmp_path: Path
) -> None:
    file = save_few_step_lora(tmp_path / LCM, load_base_model(base_model).unet)
    checkpoint = save_checkpoint(tmp_path, base_model, is_dense=False)
    pipe = load_pipeline(checkpoint, base_model, few_step_lora=file)
    stock, fused = load_stock(base_model), load_base_model(base_model)
    fuse_few_step_lora(fused, WeightsFile(path=file))
    stock.unet.load_state_dict(fused.unet.state_dict())
    stock.scheduler = LCMScheduler.from_config(stock.scheduler.config)

    nobody = draw(pipe)
    np.testing.assert_allclose(nobody, draw(stock, guidance_scale=1.0), atol=1e-5)
    assert np.array_equal(nobody, draw(pipe, identity="anna", body_scale=0.0))
    assert np.abs(draw(pipe, identity="anna") - nobody).max() > 0.01


def test_generate_draws_in_the_steps_of_the_lora(
    tiny_stable_diffusion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save_few_step_lora(tmp_path / LCM, load_base_model(tiny_stable_diffusion).unet)
    checkpoint = save_checkpoint(tmp_path, tiny_stable_diffusion, is_dense=False)
    (checkpoint / "training_config.json").write_text("{}")
    hub = _hub(str(file), tiny_stable_diffusion, tmp_path)
    monkeypatch.setattr("bolid_pipeline.cli.pictures.model_hub_of", lambda _: hub)
    options = ("--checkpoint", str(checkpoint), "--out", str(tmp_path / "out"), "--few-steps")
    done = CliRunner().invoke(main, ["generate", *options, "--prompt", "a woman"])
    assert done.exit_code == 0, done.output

    pipe = load_pipeline(checkpoint, tiny_stable_diffusion, few_step_lora=file)
    how: dict[str, Any] = {"num_inference_steps": 4, "guidance_scale": 1.0}
    drawn = pipe("a woman", generator=torch.Generator().manual_seed(0), **how).images[0]
    with Image.open(tmp_path / "out" / "a_woman-0.png") as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(drawn))


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def _pickle(file: Path) -> None:
    file.write_bytes(pickle.dumps({}))


def _changed(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        state = load_file(file)
        change(state)
        save_file(state, file)

    return damage


CONV = "lora_unet_mid_block_resnets_0_conv1"
UNFIT: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut short": (_cut, "is no whole safetensors file"),
    "a pickle in disguise": (_pickle, "is no whole safetensors file"),
    "a layer without alpha": (
        _changed(lambda state: state.pop(f"{CONV}.alpha")),
        f"holds lora_down.weight, lora_up.weight of {CONV}, not alpha, ",
    ),
    "a layer of a text encoder": (
        _changed(lambda state: state.update({"lora_te_text_model.alpha": torch.ones(())})),
        "this one has no layer lora_te_text_model ",
    ),
    "a layer of other width": (
        _changed(lambda state: state.update({f"{CONV}.lora_up.weight": torch.zeros(48, RANK, 1, 1)})),
        rf"its {CONV} is for a layer of \(32, 3, 3\) to \(48,\) numbers, this one has \(32, 3, 3\) to \(32,\)",
    ),
    "nothing": (_changed(lambda state: state.clear()), "is empty"),
}


@pytest.mark.parametrize("damage", UNFIT)
def test_a_file_that_does_not_fit_is_one_line_and_the_unet_stays(
    damage: str, tiny_stable_diffusion: Path, tmp_path: Path
) -> None:
    base = load_base_model(tiny_stable_diffusion)
    before = {key: tensor.clone() for key, tensor in base.unet.state_dict().items()}
    file = save_few_step_lora(tmp_path / LCM, base.unet, RANK)
    break_it, complaint = UNFIT[damage]
    break_it(file)
    _assert_refused(base, WeightsFile(path=file), complaint)
    after = base.unet.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())


def test_the_lora_of_another_base_model_and_a_pickle_are_refused(
    tiny_stable_diffusion: Path, tiny_sdxl: Path, tmp_path: Path
) -> None:
    base = load_base_model(tiny_stable_diffusion)
    file = save_few_step_lora(tmp_path / LCM, load_base_model(tiny_sdxl).unet)
    _assert_refused(base, WeightsFile(path=file), "was made for another base model: ")
    torch.save({}, tmp_path / "lora.bin")
    _assert_refused(base, WeightsFile(path=tmp_path / "lora.bin"), "and a pickle can run code")


def test_another_file_than_the_published_one_is_refused(tiny_stable_diffusion: Path, tmp_path: Path) -> None:
    address = f"ByteDance/Hyper-SD/{HYPER}"
    save_few_step_lora(tmp_path / "weights" / address, load_base_model(tiny_stable_diffusion).unet)
    with pytest.raises(WeightsError, match=r"but c5dd0586\w+ is pinned: fetch it anew"):
        _hub(address, tiny_stable_diffusion, tmp_path).file("few_step_lora")


def _assert_refused(base: Any, file: WeightsFile, complaint: str) -> None:
    with pytest.raises(WeightsError, match=complaint) as refused:
        fuse_few_step_lora(base, file)
    assert str(file.path) in str(refused.value)
    assert "\n" not in str(refused.value)
