"""A random-weight Stable Diffusion of the real layout, small enough for tests: 64 x 64 px pictures, 16 x 16 latents."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

TEXT_DIM = 32
IMAGE_EMBED_DIM = 24


def save_tiny_stable_diffusion(folder: Path, *, prediction_type: str = "epsilon", seed: int = 0) -> Path:
    """Write the folder (vae, unet, text_encoder, tokenizer, scheduler, image_encoder, feature_extractor)."""
    torch.manual_seed(seed)
    tokenizer = _byte_tokenizer()
    StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            layers_per_block=1,
            norm_num_groups=4,
            latent_channels=4,
            sample_size=64,
        ),
        unet=UNet2DConditionModel(
            sample_size=16,
            block_out_channels=(16, 32),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            norm_num_groups=8,
            attention_head_dim=2,
            cross_attention_dim=TEXT_DIM,
        ),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=TEXT_DIM,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        ),
        tokenizer=tokenizer,
        scheduler=DDIMScheduler(
            beta_schedule="scaled_linear",
            beta_start=0.00085,
            beta_end=0.012,
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
            prediction_type=prediction_type,
        ),
        image_encoder=CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=32,
                patch_size=8,
                projection_dim=IMAGE_EMBED_DIM,
            )
        ),
        feature_extractor=CLIPImageProcessor(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        safety_checker=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def save_tiny_clip(folder: Path) -> Path:
    """Write a random-weight CLIPModel folder with its tokenizer and image processor."""
    torch.manual_seed(0)
    tokenizer = _byte_tokenizer()
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = CLIPConfig(
        text_config={**size, **ids, "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id},
        vision_config={**size, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        folder
    )
    return folder


def _byte_tokenizer() -> CLIPTokenizer:
    """A CLIP tokenizer without merges: one token a letter, so that long prompts are cheap to write."""
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(tokens)}, merges=[], model_max_length=77
    )
