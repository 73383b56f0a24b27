"""Adapter files as they are published, with random weights: the keys of `h94/IP-Adapter`, float16, any size.

The keys are those that the original IP-Adapter saves and diffusers' `load_ip_adapter` converts: `image_proj.*`, and
`ip_adapter.N.*` with the odd N of all attention layers, which are the cross-attentions.
"""

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

NUM_TOKENS = 4


def save_ip_adapter(path: Path, unet: UNet2DConditionModel, image_embed_dim: int, seed: int = 7) -> Path:
    """Write a plain IP-Adapter: `ip-adapter_sd15.safetensors` for the U-Net of SD 1.5 and an embedding of 1024."""
    width = unet.config.cross_attention_dim
    shapes = {
        "image_proj.proj.weight": (NUM_TOKENS * width, image_embed_dim),
        "image_proj.proj.bias": (NUM_TOKENS * width,),
        "image_proj.norm.weight": (width,),
        "image_proj.norm.bias": (width,),
    }
    return _save(path, shapes | _keys_and_values(unet), seed)


def save_ip_adapter_plus(path: Path, unet: UNet2DConditionModel, image_embed_dim: int) -> Path:
    """Write an IP-Adapter plus: a resampler of patches in place of the linear layer."""
    width, inner = unet.config.cross_attention_dim, 64
    shapes = {
        "latents": (1, 16, inner),
        "proj_in.weight": (inner, image_embed_dim),
        "proj_in.bias": (inner,),
        "proj_out.weight": (width, inner),
        "proj_out.bias": (width,),
        "norm_out.weight": (width,),
        "norm_out.bias": (width,),
        "layers.0.0.norm1.weight": (inner,),
        "layers.0.0.norm1.bias": (inner,),
        "layers.0.0.norm2.weight": (inner,),
        "layers.0.0.norm2.bias": (inner,),
        "layers.0.0.to_q.weight": (inner, inner),
        "layers.0.0.to_kv.weight": (2 * inner, inner),
        "layers.0.0.to_out.weight": (inner, inner),
        "layers.0.1.0.weight": (inner,),
        "layers.0.1.0.bias": (inner,),
        "layers.0.1.1.weight": (4 * inner, inner),
        "layers.0.1.3.weight": (inner, 4 * inner),
    }
    named = {f"image_proj.{name}": shape for name, shape in shapes.items()}
    return _save(path, named | _keys_and_values(unet), seed=7)


def save_ip_adapter_faceid(path: Path, unet: UNet2DConditionModel) -> Path:
    """Write an IP-Adapter FaceID: a perceptron on an embedding of a face, here without the LoRA beside it."""
    width = unet.config.cross_attention_dim
    shapes = {
        "image_proj.proj.0.weight": (1024, 512),
        "image_proj.proj.0.bias": (1024,),
        "image_proj.proj.2.weight": (NUM_TOKENS * width, 1024),
        "image_proj.proj.2.bias": (NUM_TOKENS * width,),
        "image_proj.norm.weight": (width,),
        "image_proj.norm.bias": (width,),
    }
    return _save(path, shapes | _keys_and_values(unet), seed=7)


def _keys_and_values(unet: UNet2DConditionModel) -> dict[str, tuple[int, ...]]:
    names = [name.removesuffix(".processor") for name in unet.attn_processors]
    return {
        f"ip_adapter.{number}.to_{kind}_ip.weight": tuple(
            unet.get_submodule(f"{name}.to_{kind}").weight.shape
        )
        for number, name in enumerate(names)
        for kind in "kv"
        if name.endswith("attn2")
    }


def _save(path: Path, shapes: dict[str, tuple[int, ...]], seed: int) -> Path:
    generator = torch.Generator().manual_seed(seed)
    state = {
        name: (0.1 * torch.randn(*shape, generator=generator)).half().contiguous()
        for name, shape in shapes.items()
    }
    save_file(state, path)
    return path
