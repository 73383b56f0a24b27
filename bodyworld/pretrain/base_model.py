"""Train the U-Net of the small Stable Diffusion on the latents of the autoencoder.

    python -m bodyworld.pretrain.base_model --thumbnails data/pretrain/thumbnails

The U-Net predicts v (https://arxiv.org/abs/2202.00512) on a schedule without any signal at its last step
(https://arxiv.org/abs/2305.08891). Stable Diffusion's own schedule leaves some there, which gives away the background
of pictures this small.

Shape suffixes: B batch, C channel, H height, W width, T tokens, D text width.
"""

import json
import logging
from pathlib import Path

import click
import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from bodyworld.pretrain.autoencoder import to_tensor
from bodyworld.pretrain.command import PretrainRun, pretrain_command, thumbnails_option
from bodyworld.pretrain.drawn_pictures import PROMPTS, draw_pictures, write_sheet
from bodyworld.pretrain.prompts import spoken_caption
from bodyworld.pretrain.thumbnails import BUCKETS, Thumbnails, open_thumbnails
from bodyworld.pretrain.timed_training import half_precision
from bodyworld.pretrain.tokenizer import save_tokenizer
from bodyworld.weights import weights_folder
from bolid_pipeline.training.losses.focus import focus_weights

_logger = logging.getLogger(__name__)
CAPTION_DROPOUT = 0.1
BACKGROUND_WEIGHT = 0.25
"""Weight of an error far from all keypoints, relative to one at a keypoint, because people are harder to draw."""


def new_unet(text_width: int, start_from: Path | None = None) -> UNet2DConditionModel:
    """A U-Net of 11 M parameters that attends to text at all of its three levels, the finest included.

    Args:
        text_width: D.
        start_from: folder of a trained U-Net; attention layers that it lacks start as the identity.
    """
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=(64, 128, 192),
        layers_per_block=1,
        cross_attention_dim=text_width,
        attention_head_dim=(2, 4, 4),
        norm_num_groups=16,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        up_block_types=("CrossAttnUpBlock2D",) * 3,
    )
    if start_from is not None:
        trained = UNet2DConditionModel.from_pretrained(start_from).state_dict()
        for name in unet.load_state_dict(trained, strict=False).missing_keys:
            if ".proj_out." in name:
                torch.nn.init.zeros_(unet.get_parameter(name))
    return unet


def new_scheduler() -> DDIMScheduler:
    """The schedule of training and sampling: 1000 steps, v-prediction, no signal at the last one."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


@torch.no_grad()
def encode(vae: AutoencoderKL, thumbnails: Thumbnails, batch_size: int = 64) -> NDArray[np.float16]:
    """Scaled posterior means of all pictures, (N, 4, H / 4, W / 4)."""
    pieces = []
    for start in range(0, len(thumbnails), batch_size):
        images = to_tensor(thumbnails.pixels_NHW3[start : start + batch_size])
        with half_precision():
            means = vae.encode(images).latent_dist.mean
        pieces.append((means.float() * vae.config.scaling_factor).numpy().astype(np.float16))
    return np.concatenate(pieces)


def load_or_encode(
    vae: AutoencoderKL, thumbnails: dict[tuple[int, int], Thumbnails], folder: Path
) -> dict[tuple[int, int], NDArray[np.float16]]:
    """The latents of every bucket, from `folder` where they are, else encoded and put there."""
    folder.mkdir(parents=True, exist_ok=True)
    latents: dict[tuple[int, int], NDArray[np.float16]] = {}
    for bucket, part in thumbnails.items():
        path = folder / f"{bucket[0]}x{bucket[1]}.npy"
        if not path.exists() or len(np.load(path, mmap_mode="r")) != len(part):
            np.save(path, encode(vae, part))
        latents[bucket] = np.load(path)
    return latents


class TextEncoder:
    """The frozen text tower as the pipeline uses it, with all 77 positions of the last hidden state."""

    def __init__(self, clip_dir: Path) -> None:
        self.tokenizer = CLIPTokenizer.from_pretrained(clip_dir)
        self.model = CLIPTextModel.from_pretrained(clip_dir, dtype=torch.float32).eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, texts: list[str]) -> Tensor:
        """(B, 77, D) float32."""
        tokens = self.tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")
        with half_precision():
            return self.model(tokens.input_ids)[0].float()


def draw_batch(
    latents: dict[tuple[int, int], NDArray[np.float16]],
    thumbnails: dict[tuple[int, int], Thumbnails],
    batch_size: int,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor, list[str]]:
    """(B, 4, H, W) latents of one bucket, their keypoints (B, 17, 3) in [0, 1], and their captions.

    A share of `CAPTION_DROPOUT` of them has an empty caption.
    """
    counts = np.array([len(latents[bucket]) for bucket in BUCKETS], float)
    bucket = BUCKETS[rng.choice(len(BUCKETS), p=counts / counts.sum())]
    rows = rng.choice(len(latents[bucket]), batch_size, replace=False)
    texts = [
        "" if rng.random() < CAPTION_DROPOUT else spoken_caption(thumbnails[bucket].slots[row], rng)
        for row in rows
    ]
    keypoints_BK3 = torch.from_numpy(thumbnails[bucket].keypoints_NK3[rows])
    return torch.from_numpy(latents[bucket][rows].astype(np.float32)), keypoints_BK3, texts


def v_loss(
    unet: UNet2DConditionModel,
    scheduler: DDIMScheduler,
    latents_BCHW: Tensor,
    text_BTD: Tensor,
    weights_BHW: Tensor,
) -> Tensor:
    """The weighted mean squared error of the predicted v, at noise levels spread evenly over the batch."""
    size, num_steps = len(latents_BCHW), scheduler.config.num_train_timesteps
    timesteps_B = (
        ((torch.arange(size) + torch.rand(size)) / size * num_steps).long().clamp_(max=num_steps - 1)
    )
    noise_BCHW = torch.randn_like(latents_BCHW)
    noisy_BCHW = scheduler.add_noise(latents_BCHW, noise_BCHW, timesteps_B)
    with half_precision():
        v_BCHW = unet(noisy_BCHW.contiguous(memory_format=torch.channels_last), timesteps_B, text_BTD).sample
    target_BCHW = scheduler.get_velocity(latents_BCHW, noise_BCHW, timesteps_B)
    return ((v_BCHW.float() - target_BCHW).square() * weights_BHW[:, None]).mean()


def assemble(unet: UNet2DConditionModel, vae_dir: Path, clip_dir: Path) -> StableDiffusionPipeline:
    """A stock pipeline; the vision tower of the CLIP is in it for adapters that take an image prompt."""
    return StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(vae_dir),
        text_encoder=CLIPTextModel.from_pretrained(clip_dir, dtype=torch.float32),
        tokenizer=CLIPTokenizer.from_pretrained(clip_dir),
        unet=unet,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=CLIPImageProcessor.from_pretrained(clip_dir),
        image_encoder=CLIPVisionModelWithProjection.from_pretrained(clip_dir, dtype=torch.float32),
        requires_safety_checker=False,
    )


def export(unet: UNet2DConditionModel, vae_dir: Path, clip_dir: Path, out: Path) -> None:
    """Write the folder of the pipeline in float16; `unet` itself stays as it is.

    Diffusers loads float16 files as float32, transformers in the dtype of their config. That is set to float32, so that
    all parts fit together.
    """
    copy = UNet2DConditionModel.from_config(unet.config)
    copy.load_state_dict(unet.state_dict())
    assemble(copy, vae_dir, clip_dir).to(dtype=torch.float16).save_pretrained(out)
    save_tokenizer(CLIPTokenizer.from_pretrained(clip_dir), out / "tokenizer")
    for part in ("text_encoder", "image_encoder"):
        path = out / part / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"dtype": "float32"}, indent=2) + "\n")


@pretrain_command("base_model", minutes=45.0, seed=20_500)
@thumbnails_option
@click.option("--vae", "vae_dir", type=Path, default=Path("data/pretrain/autoencoder/vae"), show_default=True)
@click.option("--clip", "clip_dir", type=Path, default=None, help="CLIP folder; the package's by default.")
@click.option("--start-from", type=Path, default=None, help="U-Net folder to start from; none by default.")
@click.option("--out", type=Path, default=None, help="Pipeline folder; the package's by default.")
@click.option("--batch-size", default=32, show_default=True)
@click.option("--learning-rate", default=6e-4, show_default=True)
def main(
    run: PretrainRun,
    *,
    thumbnails_dir: Path,
    vae_dir: Path,
    clip_dir: Path | None,
    start_from: Path | None,
    out: Path | None,
    batch_size: int,
    learning_rate: float,
) -> None:
    """Train the U-Net, and write the whole pipeline now and then."""
    clip_dir, out = clip_dir or weights_folder("clip"), out or weights_folder("base_model")
    thumbnails = open_thumbnails(thumbnails_dir)
    vae = AutoencoderKL.from_pretrained(vae_dir).eval().to(memory_format=torch.channels_last)
    latents = load_or_encode(vae, thumbnails, run.run_dir / "latents")
    encode_text, scheduler = TextEncoder(clip_dir), new_scheduler()
    unet = new_unet(encode_text.model.config.hidden_size, start_from).to(memory_format=torch.channels_last)
    unet.set_attn_processor(AttnProcessor())  # the fused attention's backward pass is slow on CPUs

    def losses(rng: np.random.Generator) -> dict[str, Tensor]:
        latents_BCHW, keypoints_BK3, texts = draw_batch(latents, thumbnails, batch_size, rng)
        height, width = latents_BCHW.shape[-2:]
        weights_BHW = focus_weights(keypoints_BK3, height, width, BACKGROUND_WEIGHT)
        return {"v": v_loss(unet, scheduler, latents_BCHW, encode_text(texts), weights_BHW)}

    def on_checkpoint(step: int) -> None:
        export(unet, vae_dir, clip_dir, out)
        pipeline = StableDiffusionPipeline.from_pretrained(out)
        pipeline.unet.set_attn_processor(AttnProcessor2_0())
        pictures = draw_pictures(pipeline, PROMPTS[:8], num_steps=20, seed=run.seed)
        write_sheet(pictures, None, run.run_dir / "samples.png")
        _logger.info("step %d: wrote %s", step, out)

    run.train(unet, losses, on_checkpoint, learning_rate=learning_rate, checkpoint_minutes=5.0)


if __name__ == "__main__":
    main()
