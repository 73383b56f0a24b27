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
from transformers import CLIPTokenizer

from bodyworld.weights import weights_folder
from bolid_pipeline.models import adapters
from bolid_pipeline.models.architectures import IMAGE_EMBED_DIM, SD15, SDXL
from bolid_pipeline.models.body_bank import BodyBank
from bolid_pipeline.models.body_encoder import BodyEncoder, num_view_channels
from bolid_pipeline.models.pipeline import AnyBoLIDPipeline, pipeline_around
from bolid_pipeline.models.text import encode_text

SIDE_PX = 256
DTYPE = torch.bfloat16

ARCHITECTURES = {"sd15": SD15, "sdxl": SDXL}


def make_pipeline(name: str) -> AnyBoLIDPipeline:
    """The base model in a pipeline, random bfloat16 weights built without a float32 copy, branches not yet attached."""
    tokenizer = CLIPTokenizer.from_pretrained(weights_folder("base_model") / "tokenizer")
    with torch.device("meta"):
        base = ARCHITECTURES[name].new_base(tokenizer)
    for part in base.components.values():
        if isinstance(part, torch.nn.Module):
            fill(part.to(DTYPE).to_empty(device="cpu"))
    return pipeline_around(base)


def fill(model: torch.nn.Module) -> None:
    """Give every parameter a random value, and every norm the scale 1."""
    for name, tensor in model.named_parameters():
        tensor.data.fill_(1.0) if "norm" in name and name.endswith("weight") else tensor.data.normal_(0, 0.02)
    for name, buffer in model.named_buffers():
        if name.endswith("position_ids"):
            buffer.copy_(torch.arange(buffer.shape[-1])[None])


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
