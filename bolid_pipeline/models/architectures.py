"""The shapes of Stable Diffusion 1.5 and SDXL, as their published config.json files say them: networks without weights.

They tell what a training costs before anything is downloaded.
"""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from bolid_pipeline.models.base import BaseModel

_UNET = {"layers_per_block": 2, "norm_num_groups": 32}
_VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
_SCHEDULER = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
_CLIP_L = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}
_OPENCLIP_G = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
    "projection_dim": 1280,
}


@dataclass(frozen=True)
class Architecture:
    """The networks of a base model.

    Attributes:
        unet: configuration of the U-Net.
        vae: configuration of the autoencoder.
        text_encoders: configurations of the text encoders: one, or SDXL's two.
        resolution_px: side of the pictures that the model was trained on.
    """

    unet: dict[str, Any]
    vae: dict[str, Any]
    text_encoders: tuple[dict[str, Any], ...]
    resolution_px: int

    def new_base(self, tokenizer: CLIPTokenizer | None = None) -> BaseModel:
        """The base model with new weights, frozen and in eval mode, on torch's default device.

        Args:
            tokenizer: of all text encoders; without one, texts cannot be encoded.
        """
        configs = [
            CLIPTextConfig(vocab_size=49408, max_position_embeddings=77, **encoder)
            for encoder in self.text_encoders
        ]
        parts: dict[str, Any] = {
            "vae": AutoencoderKL(**self.vae),
            "unet": UNet2DConditionModel(**self.unet),
            "text_encoder": CLIPTextModel(configs[0]),
            "tokenizer": tokenizer,
            "scheduler": DDIMScheduler(**_SCHEDULER),
        }
        if len(configs) == 1:
            base: BaseModel = StableDiffusionPipeline(
                **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
            )
        else:
            second = CLIPTextModelWithProjection(configs[1])
            base = StableDiffusionXLPipeline(
                **parts, text_encoder_2=second, tokenizer_2=tokenizer, add_watermarker=False
            )
        for part in base.components.values():
            if isinstance(part, torch.nn.Module):
                part.requires_grad_(False).eval()
        return base


SD15 = Architecture(
    unet={
        **_UNET,
        "sample_size": 64,
        "block_out_channels": (320, 640, 1280, 1280),
        "attention_head_dim": 8,
        "cross_attention_dim": 768,
    },
    vae={**_VAE, "scaling_factor": 0.18215},
    text_encoders=(_CLIP_L,),
    resolution_px=512,
)
SDXL = Architecture(
    unet={
        **_UNET,
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    vae={**_VAE, "scaling_factor": 0.13025},
    text_encoders=(_CLIP_L, _OPENCLIP_G),
    resolution_px=1024,
)
IMAGE_EMBED_DIM = 1024
"""Length of the embedding of CLIP ViT-H, the image encoder of IP-Adapter for both."""
CLIP_VIT_L = {
    "vision_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
    },
    "text_config": _CLIP_L,
    "projection_dim": 768,
}
"""The CLIP of L_CLIP."""
