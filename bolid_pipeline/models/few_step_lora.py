"""LoRAs that make a base model draw in a few steps, LCM-LoRA and Hyper-SD, fused into its U-Net.

Both are published in the names of kohya: of a layer `mid_block.resnets.0.conv1` a file holds A, B and alpha as
`lora_unet_mid_block_resnets_0_conv1.lora_down.weight`, `.lora_up.weight` and `.alpha`. With r the rank of A and B:

    W' = W + alpha / r * B A
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel

from bolid_pipeline.errors import WeightsMismatch
from bolid_pipeline.models.base import BaseModel
from bolid_pipeline.models.samplers import SamplerName, make_sampler
from bolid_pipeline.pretrained.states import load_safetensors
from bolid_pipeline.pretrained.weights import WeightsFile

_PARTS = ("lora_down.weight", "lora_up.weight", "alpha")
_Layers = Mapping[str, torch.nn.Linear | torch.nn.Conv2d]


def fuse_few_step_lora(base: BaseModel, file: WeightsFile) -> dict[str, Any]:
    """Add a LoRA to the weights of the U-Net, in place, and give the base model the sampler that it was made for.

    Args:
        base: without branches; they are attached to the fused U-Net.
        file: a `.safetensors` as published. A name of Hyper-SD, such as `Hyper-SD15-4steps-lora.safetensors`, says its
            steps, which DDIM draws; any other file is an LCM-LoRA.

    Returns:
        The arguments of a call that the LoRA was made for: steps and guidance, which is 1 (off) except for Hyper-SD's
        `CFG` files.

    Raises:
        WeightsMissing: the file is missing.
        WeightsMismatch: the file has another sha256 than the pinned one, is damaged or a pickle, or was made for
            another base model. Every number of it is used, or nothing.
    """
    if file.path.suffix != ".safetensors":
        raise WeightsMismatch(
            f"{file.path} is no .safetensors, and a pickle can run code: take the .safetensors that lies beside it"
        )
    state, _ = load_safetensors(file.path, file.sha256)
    layers = _layers(base.unet)
    for layer in _check_fit(file.path, state, layers):
        down, up, alpha = (state[f"{layer}.{part}"].float() for part in _PARTS)
        weight = layers[layer].weight
        # As diffusers fuses it, which needs peft: over a second at every import, whether or not there is a LoRA.
        weight.data += (alpha / len(down) * (up.flatten(1) @ down.flatten(1)).view_as(weight)).to(weight)
    sampler, defaults = _made_for(file.path.name)
    base.scheduler = make_sampler(sampler, base.scheduler.config)
    return defaults


def _made_for(name: str) -> tuple[SamplerName, dict[str, Any]]:
    hyper = re.match(r"Hyper-SD\w*-(\d+)steps(-CFG)?", name)
    if hyper is None:
        return "lcm", {"num_inference_steps": 4, "guidance_scale": 1.0}
    return "ddim", {"num_inference_steps": int(hyper[1]), "guidance_scale": 5.0 if hyper[2] else 1.0}


def _check_fit(file: Path, state: Mapping[str, torch.Tensor], layers: _Layers) -> set[str]:
    """The layers of the file, once each is whole and has a layer of the U-Net that it fits."""
    of_file: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, tensor in state.items():
        layer, _, part = key.partition(".")
        of_file.setdefault(layer, {})[part] = tuple(tensor.shape)
    if not of_file:
        raise WeightsMismatch(f"{file} is empty: fetch it anew")
    for layer, shapes in of_file.items():
        if layer not in layers:
            raise WeightsMismatch(
                f"{file} was made for another base model: this one has no layer {layer} (that file has "
                f"{len(of_file.keys() - layers.keys())} such layers)"
            )
        if shapes.keys() != set(_PARTS):
            raise WeightsMismatch(
                f"{file} holds {', '.join(sorted(shapes))} of {layer}, not {', '.join(sorted(_PARTS))}"
            )
        out_dim, *in_shape = layers[layer].weight.shape
        rank = shapes["lora_down.weight"][:1]
        fitting = ((*rank, *in_shape), (out_dim, *rank, *(1 for _ in in_shape[1:])))
        if (shapes["lora_down.weight"], shapes["lora_up.weight"]) != fitting:
            raise WeightsMismatch(
                f"{file} was made for another base model: its {layer} is for a layer of "
                f"{shapes['lora_down.weight'][1:]} to {shapes['lora_up.weight'][:1]} numbers, this one has "
                f"{tuple(in_shape)} to {(out_dim,)}"
            )
    return set(of_file)


def _layers(unet: UNet2DConditionModel) -> _Layers:
    """Name in a file -> layer."""
    return {
        _file_name(name): module
        for name, module in unet.named_modules()
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d))
    }


def _file_name(name: str) -> str:
    return f"lora_unet_{name.replace('.', '_')}"
