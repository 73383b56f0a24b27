"""BoLID on the real configurations of Stable Diffusion 1.5 and SDXL, random weights: one training step, one sample.

    uv run python benchmarks/real_shapes.py            # both; SDXL needs 12 GB
    uv run python benchmarks/real_shapes.py sd15

Shows that all shapes fit: branches, body encoder, two text encoders, micro-conditioning. Everything is bfloat16, at
256 px, so that it runs on a CPU. The weights are random, so the pictures are noise.
"""

import resource
import sys
import time
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

from bodyworld.weights import weights_folder
from bolid_pipeline.models import adapters
from bolid_pipeline.models.body_bank import BodyBank
from bolid_pipeline.models.body_encoder import BodyEncoder, num_view_channels
from bolid_pipeline.models.pipeline import AnyBoLIDPipeline, pipeline_around
from bolid_pipeline.models.text import encode_text

SIDE_PX = 256
IMAGE_EMBED_DIM = 1024  # CLIP ViT-H, h94/IP-Adapter/models/image_encoder
DTYPE = torch.bfloat16

_BLOCKS = {"layers_per_block": 2, "norm_num_groups": 32}
SD15_UNET = {
    **_BLOCKS,
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "attention_head_dim": 8,
    "cross_attention_dim": 768,
}
SDXL_UNET = {
    **_BLOCKS,
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
}
SCHEDULER = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
OPENCLIP_G = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
    "projection_dim": 1280,
}


def random_model(model_class: Any, config: Any, **settings: Any) -> Any:
    """A model of random bfloat16 weights, built without a float32 copy."""
    with torch.device("meta"):
        model = model_class(config) if config is not None else model_class(**settings)
    model = model.to(DTYPE).to_empty(device="cpu")
    for name, tensor in model.named_parameters():
        tensor.data.fill_(1.0) if "norm" in name and name.endswith("weight") else tensor.data.normal_(0, 0.02)
    for name, buffer in model.named_buffers():
        if name.endswith("position_ids"):
            buffer.copy_(torch.arange(buffer.shape[-1])[None])
    return model.requires_grad_(False).eval()


def text_config(**settings: Any) -> CLIPTextConfig:
    """A CLIP text encoder of 77 positions and 49408 tokens."""
    return CLIPTextConfig(vocab_size=49408, max_position_embeddings=77, **settings)


def make_pipeline(name: str) -> AnyBoLIDPipeline:
    """The base model in a pipeline, branches not yet attached."""
    tokenizer = CLIPTokenizer.from_pretrained(weights_folder("base_model") / "tokenizer")
    parts: dict[str, Any] = {
        "vae": random_model(AutoencoderKL, None, **VAE),
        "tokenizer": tokenizer,
        "scheduler": DDIMScheduler(**SCHEDULER),
        "text_encoder": random_model(CLIPTextModel, text_config(**CLIP_L)),
    }
    if name == "sd15":
        unet = random_model(UNet2DConditionModel, None, **SD15_UNET)
        base = StableDiffusionPipeline(
            **parts,
            unet=unet,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        return pipeline_around(base)
    unet = random_model(UNet2DConditionModel, None, **SDXL_UNET)
    text_encoder_2 = random_model(CLIPTextModelWithProjection, text_config(**OPENCLIP_G))
    base = StableDiffusionXLPipeline(
        **parts, unet=unet, text_encoder_2=text_encoder_2, tokenizer_2=tokenizer, add_watermarker=False
    )
    return pipeline_around(base)


def train_one_step(pipe: Any, encoder: BodyEncoder) -> dict[str, Any]:
    """Loss of one step, and the parts that got a gradient."""
    unet = pipe.unet
    unet.enable_gradient_checkpointing()
    unet.train()
    side = SIDE_PX // pipe.vae_scale_factor
    views_BNCGG = torch.rand(1, 2, num_view_channels(4), 16, 16, dtype=DTYPE)
    c_body_BD = encoder(views_BNCGG, torch.ones(1, 2)).sample(torch.randn(1, encoder.config.c_body_dim))
    text = encode_text(pipe, ["a full-length photo of a woman"])
    prediction_BCHW = unet(
        torch.randn(1, 4, side, side, dtype=DTYPE),
        torch.tensor([500]),
        text.hidden_BLD,
        added_cond_kwargs={
            **text.added_conditions(SIDE_PX, SIDE_PX),
            "image_embeds": [
                adapters.ref_embeds(unet, torch.randn(1, IMAGE_EMBED_DIM)),
                adapters.body_embeds(unet, c_body_BD),
            ],
        },
    ).sample
    loss = prediction_BCHW.float().square().mean()
    loss.backward()
    unet.disable_gradient_checkpointing()
    unet.eval()
    trained = [*adapters.trainable_parameters(unet), *encoder.parameters()]
    return {
        "loss": round(loss.item(), 3),
        "trainable_million": round(sum(p.numel() for p in trained) / 1e6, 1),
        "without_gradient": sum(p.grad is None for p in adapters.trainable_parameters(unet)),
        "frozen_with_gradient": sum(p.grad is not None for p in unet.parameters() if not p.requires_grad),
        "gradient_of_c_body": bool(encoder.to_mean[0].weight.grad.any()),
    }


def main(name: str) -> None:
    """Print which models fit, and the time and memory that they take."""
    started = time.monotonic()
    torch.manual_seed(0)
    pipe = make_pipeline(name)
    size = sum(p.numel() for p in pipe.unet.parameters()) / 1e6
    encoder = BodyEncoder().to(DTYPE)
    ref_state = adapters.new_ref_state(pipe.unet, IMAGE_EMBED_DIM)
    adapters.attach(pipe.unet, ref_state, adapters.new_body_state(pipe.unet, encoder.config.c_body_dim, 16))
    for parameter in adapters.trainable_parameters(pipe.unet):
        parameter.requires_grad_(True)
    built = time.monotonic()
    print(f"{name}: U-Net of {size:.0f} million parameters, built in {built - started:.0f} s")
    print("one step:", train_one_step(pipe, encoder), f"in {time.monotonic() - built:.0f} s")

    pipe.body_bank = BodyBank.of({"anna": (torch.randn(encoder.config.c_body_dim), 1)})
    pipe.set_progress_bar_config(disable=True)
    stepped = time.monotonic()
    image = pipe(
        "a woman on a beach", identity="anna", height=SIDE_PX, width=SIDE_PX, num_inference_steps=2
    ).images[0]
    print(f"one sample: {image.size} px, 2 steps with guidance in {time.monotonic() - stepped:.0f} s")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


if __name__ == "__main__":
    for each in sys.argv[1:] or ["sd15", "sdxl"]:
        main(each)
