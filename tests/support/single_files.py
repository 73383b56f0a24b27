"""A base model's networks under the names of its authors' single file, the inverse of diffusers' own conversion.

The names are those that `diffusers.loaders.single_file_utils` reads in files such as `v1-5-pruned-emaonly.safetensors`
and `sd_xl_base_1.0.safetensors`; reading them back by diffusers is the proof that they are right.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import save_file
from torch import Tensor

State = dict[str, Tensor]

_UNET_TOP = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}
_OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def save_single_file(
    base: StableDiffusionPipeline | StableDiffusionXLPipeline, path: Path, dtype: torch.dtype = torch.float32
) -> Path:
    """Write all networks of a base model into one file."""
    state = single_file_state(dict(base.components), is_sdxl=isinstance(base, StableDiffusionXLPipeline))
    save_file({name: tensor.to(dtype).contiguous() for name, tensor in state.items()}, path)
    return path


def single_file_state(networks: Mapping[str, Any], *, is_sdxl: bool) -> State:
    """The state dict of the single file."""
    unet = networks["unet"]
    state = {
        f"model.diffusion_model.{name}": tensor
        for name, tensor in _unet_state(unet.state_dict(), unet.config.layers_per_block)
    }
    num_blocks = len(networks["vae"].config.block_out_channels)
    state |= {
        f"first_stage_model.{name}": tensor
        for name, tensor in _vae_state(networks["vae"].state_dict(), num_blocks)
    }
    clip = "conditioner.embedders.0.transformer" if is_sdxl else "cond_stage_model.transformer"
    state |= {
        f"{clip}.text_model.{name.removeprefix('text_model.')}": tensor
        for name, tensor in networks["text_encoder"].state_dict().items()
    }
    state[f"{clip}.text_model.embeddings.position_ids"] = torch.arange(77)[None].float()
    if is_sdxl:
        second = networks["text_encoder_2"].state_dict()
        state |= {f"conditioner.embedders.1.model.{name}": each for name, each in _open_clip_state(second)}
    return state


def _unet_state(state: State, layers_per_block: int) -> Iterator[tuple[str, Tensor]]:
    per_block = layers_per_block + 1
    for name, tensor in state.items():
        module, _, parameter = name.rpartition(".")
        if module in _UNET_TOP:
            yield f"{_UNET_TOP[module]}.{parameter}", tensor
            continue
        place, rest = _unet_place(name, state, per_block)
        for ours, theirs in _UNET_RESNET.items():
            if ".resnets." in name:
                rest = re.sub(rf"^{ours}\.", f"{theirs}.", rest)
        yield f"{place}.{rest}", tensor


def _unet_place(name: str, state: State, per_block: int) -> tuple[str, str]:
    """The block of the file that a parameter lies in, and the rest of the parameter's name."""
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", name):
        kind, number, rest = found.groups()
        return f"middle_block.{1 if kind == 'attentions' else 2 * int(number)}", rest
    found = re.match(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.*)", name)
    assert found is not None, name
    side, block, kind, layer, rest = found.groups()
    if side == "down":
        number = 1 + int(block) * per_block + (per_block - 1 if kind == "downsamplers" else int(layer))
        place = f"input_blocks.{number}"
        return (
            (f"{place}.0", rest.replace("conv.", "op."))
            if kind == "downsamplers"
            else (f"{place}.{int(kind == 'attentions')}", rest)
        )
    number = int(block) * per_block + (per_block - 1 if kind == "upsamplers" else int(layer))
    if kind != "upsamplers":
        return f"output_blocks.{number}.{int(kind == 'attentions')}", rest
    has_attention = any(each.startswith(f"up_blocks.{block}.attentions.") for each in state)
    return f"output_blocks.{number}.{2 if has_attention else 1}", rest


def _vae_state(state: State, num_blocks: int) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in state.items():
        renamed = re.sub(r"down_blocks\.(\d)\.resnets\.", r"down.\1.block.", name)
        renamed = re.sub(r"down_blocks\.(\d)\.downsamplers\.0\.", r"down.\1.downsample.", renamed)
        renamed = re.sub(
            r"up_blocks\.(\d)\.resnets\.", lambda m: f"up.{num_blocks - 1 - int(m[1])}.block.", renamed
        )
        renamed = re.sub(
            r"up_blocks\.(\d)\.upsamplers\.0\.",
            lambda m: f"up.{num_blocks - 1 - int(m[1])}.upsample.",
            renamed,
        )
        renamed = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", renamed)
        renamed = renamed.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        if "mid_block.attentions.0." in renamed:
            for ours, theirs in _VAE_ATTENTION.items():
                renamed = renamed.replace(f"mid_block.attentions.0.{ours}.", f"mid.attn_1.{theirs}.")
        is_attention = "mid.attn_1." in renamed and tensor.ndim == 2
        yield renamed, tensor[:, :, None, None] if is_attention else tensor


def _open_clip_state(state: State) -> Iterator[tuple[str, Tensor]]:
    yield "logit_scale", torch.tensor(4.6)
    for name, tensor in state.items():
        inside = name.removeprefix("text_model.")
        match inside:
            case "embeddings.position_embedding.weight":
                yield "positional_embedding", tensor
            case "embeddings.token_embedding.weight":
                yield "token_embedding.weight", tensor
            case "text_projection.weight":
                yield "text_projection", tensor.T
            case _ if inside.startswith("final_layer_norm."):
                yield inside.replace("final_layer_norm", "ln_final"), tensor
            case _ if ".q_proj." in inside:
                three = [state[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
                layer, kind = inside.replace("encoder.layers.", "").split(".self_attn.q_proj.")
                yield f"transformer.resblocks.{layer}.attn.in_proj_{kind}", torch.cat(three)
            case _ if ".k_proj." in inside or ".v_proj." in inside:
                pass
            case _:
                renamed = inside.replace("encoder.layers.", "transformer.resblocks.")
                for ours, theirs in _OPEN_CLIP.items():
                    renamed = renamed.replace(f".{ours}.", f".{theirs}.")
                yield renamed, tensor
