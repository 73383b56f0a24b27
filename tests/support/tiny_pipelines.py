"""Checkpoints for the tiny models as if trained, stock pipelines to compare with, and what a pipeline draws."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from PIL import Image
from tiny_models import IMAGE_EMBED_DIM

from bolid_pipeline.models import adapters
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.body_bank import BodyBank, PersonBody
from bolid_pipeline.models.body_encoder import BodyEncoder
from bolid_pipeline.models.loaders import save_branches
from bolid_pipeline.models.reference_encoder import ReferenceEncoder
from bolid_pipeline.training.config import PriorConfig
from bolid_pipeline.training.prior import fit_body_prior

PEOPLE = ("anna", "bob")
C_BODY_DIM = 64


def save_checkpoint(folder: Path, base_model: Path, *, is_dense: bool) -> Path:
    """Write a checkpoint as if trained: everything trainable moved at random; the dense one with all options."""
    torch.manual_seed(4)
    unet = load_base_model(base_model).unet
    adapters.attach(
        unet,
        adapters.new_ref_state(unet, IMAGE_EMBED_DIM),
        adapters.new_body_state(unet, C_BODY_DIM, 4, is_dense=is_dense),
    )
    for parameter in adapters.trainable_parameters(unet):
        parameter.data += 0.3 * torch.randn_like(parameter)
    bank = BodyBank.of({name: PersonBody(torch.randn(C_BODY_DIM), 5) for name in PEOPLE})
    save_branches(folder, unet, bank)
    encoder = BodyEncoder(
        grid=8,
        width=32,
        num_layers=1,
        num_heads=2,
        c_body_dim=C_BODY_DIM,
        num_dense_tokens=4 if is_dense else None,
    )
    encoder.save_pretrained(folder / "body_encoder")
    if is_dense:
        ref_encoder = ReferenceEncoder(image_embed_dim=IMAGE_EMBED_DIM, num_heads=2)
        torch.nn.init.normal_(ref_encoder.to_change.weight, std=0.2)
        ref_encoder.save_pretrained(folder / "ref_encoder")
        config = PriorConfig(width=16, num_layers=1, num_heads=2, steps=1, batch_size=2)
        text_dim = unet.config.cross_attention_dim
        fit_body_prior(config, bank, PEOPLE, torch.randn(2, text_dim), seed=0).save_pretrained(
            folder / "body_prior"
        )
    return folder


def load_stock(folder: Path) -> Any:
    is_sdxl = (folder / "text_encoder_2").is_dir()
    options: dict[str, Any] = {"add_watermarker": False} if is_sdxl else {}
    stock_class = StableDiffusionXLPipeline if is_sdxl else StableDiffusionPipeline
    stock = stock_class.from_pretrained(folder, low_cpu_mem_usage=False, **options)
    stock.set_progress_bar_config(disable=True)
    return stock


def draw(
    pipe: Callable[..., Any], prompt: Any = "a woman", seed: int = 0, steps: int = 2, **kwargs: Any
) -> np.ndarray:
    return (
        pipe(
            prompt,
            num_inference_steps=steps,
            generator=torch.Generator().manual_seed(seed),
            output_type="latent",
            **kwargs,
        )
        .images.cpu()
        .numpy()
    )


def photo(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (50, 40, 3), dtype=np.uint8))
