"""A random-weight Stable Diffusion, and an SDXL, of the real layout but small: 64 x 64 px pictures, 16 x 16 latents."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
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
        vae=_vae(),
        unet=UNet2DConditionModel(**_UNET, attention_head_dim=2, cross_attention_dim=TEXT_DIM),
        text_encoder=CLIPTextModel(_text_config(tokenizer)),
        tokenizer=tokenizer,
        scheduler=_scheduler(prediction_type),
        image_encoder=_image_encoder(),
        feature_extractor=_feature_extractor(),
        safety_checker=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def save_tiny_sdxl(folder: Path, *, seed: int = 0, second_text_dim: int = TEXT_DIM) -> Path:
    """Write the folder of an SDXL: two text encoders, and pooled text and sizes as conditions; no image encoder."""
    torch.manual_seed(seed)
    tokenizer = _byte_tokenizer()
    StableDiffusionXLPipeline(
        vae=_vae(),
        unet=UNet2DConditionModel(
            **_UNET,
            attention_head_dim=(2, 4),
            cross_attention_dim=TEXT_DIM + second_text_dim,
            transformer_layers_per_block=(1, 2),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=second_text_dim + 6 * 8,
        ),
        text_encoder=CLIPTextModel(_text_config(tokenizer)),
        text_encoder_2=CLIPTextModelWithProjection(
            _text_config(tokenizer, hidden_size=second_text_dim, projection_dim=second_text_dim)
        ),
        tokenizer=tokenizer,
        tokenizer_2=_byte_tokenizer(pad_token="!"),  # noqa: S106 - no password
        scheduler=_scheduler("epsilon"),
        add_watermarker=False,
    ).save_pretrained(folder)
    return folder


def save_tiny_autoencoder(folder: Path, *, latent_channels: int = 4) -> Path:
    """Write an `AutoencoderTiny` for the latents of the other models here."""
    torch.manual_seed(0)
    AutoencoderTiny(
        latent_channels=latent_channels,
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
    ).save_pretrained(folder)
    return folder


def save_tiny_image_encoder(folder: Path) -> Path:
    """Write a CLIP image encoder (image_encoder/) and its processor (feature_extractor/)."""
    torch.manual_seed(0)
    _image_encoder().save_pretrained(folder / "image_encoder")
    _feature_extractor().save_pretrained(folder / "feature_extractor")
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


_UNET = {
    "sample_size": 16,
    "block_out_channels": (16, 32),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
}


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=64,
    )


def _text_config(tokenizer: CLIPTokenizer, hidden_size: int = TEXT_DIM, **options: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **options,
    )


def _scheduler(prediction_type: str) -> DDIMScheduler:
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )


def _image_encoder() -> CLIPVisionModelWithProjection:
    config = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=IMAGE_EMBED_DIM,
    )
    return CLIPVisionModelWithProjection(config)


def _feature_extractor() -> CLIPImageProcessor:
    return CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def _byte_tokenizer(**options: str) -> CLIPTokenizer:
    """A CLIP tokenizer without merges: one token a letter, so that long prompts are cheap to write."""
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocab = {token: index for index, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocab, merges=[], model_max_length=77, **options)
