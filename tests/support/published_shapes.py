"""Stable Diffusion 1.5 and SDXL in their real shapes, on the meta device: names and shapes, but no numbers.

The sizes are those of the `config.json` files of `stable-diffusion-v1-5/stable-diffusion-v1-5` and
`stabilityai/stable-diffusion-xl-base-1.0`.
"""

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

_VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
_CLIP_L = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "vocab_size": 49408,
}
SD15: Mapping[str, Any] = {
    "unet": {
        "sample_size": 64,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
        "block_out_channels": (320, 640, 1280, 1280),
    },
    "vae": {**_VAE, "sample_size": 512, "scaling_factor": 0.18215},
    "text_encoder": _CLIP_L,
}
SDXL: Mapping[str, Any] = {
    "unet": {
        "sample_size": 128,
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    "vae": {**_VAE, "sample_size": 1024, "scaling_factor": 0.13025},
    "text_encoder": _CLIP_L,
    "text_encoder_2": {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
        "vocab_size": 49408,
        "projection_dim": 1280,
        "hidden_act": "gelu",
    },
}


def meta_networks(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The networks of a base model by name, on the meta device."""
    with torch.device("meta"):
        networks: dict[str, Any] = {
            "unet": UNet2DConditionModel(**sizes["unet"]),
            "vae": AutoencoderKL(**sizes["vae"]),
            "text_encoder": CLIPTextModel(CLIPTextConfig(**sizes["text_encoder"])),
        }
        if "text_encoder_2" in sizes:
            networks["text_encoder_2"] = CLIPTextModelWithProjection(
                CLIPTextConfig(**sizes["text_encoder_2"])
            )
    return networks
