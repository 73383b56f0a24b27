"""Train the autoencoder of the base model.

It has 4 times fewer pixels along each side, and 4 latent channels.

    python -m bodyworld.pretrain.autoencoder --thumbnails data/pretrain/thumbnails

Shape suffixes: B batch, C channel, H height, W width, K keypoints.
"""

from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from bodyworld.pretrain.command import PretrainRun, pretrain_command, thumbnails_option
from bodyworld.pretrain.thumbnails import BUCKETS, Thumbnails, open_thumbnails
from bodyworld.pretrain.timed_training import half_precision
from bolid_pipeline.latents.gaussian import apply_weights, sigma_px, weight_map

NUM_HELD_OUT = 60
KL_WEIGHT = 1e-3
GRADIENT_WEIGHT = 0.3
AREA_WEIGHTS = (1.0, 1.0, 2.0)
PREVIEW_WEIGHT = 1.0
"""A 1 x 1 convolution, thrown away afterwards, must read the colours of areas off the latents. Without it the encoder
learns to keep brightness long before it keeps colours, which captions speak of."""
WEIGHTED_FRACTION = 0.12
"""Share of training pictures that are dark away from the keypoints, like the pictures of the body branch."""


def new_autoencoder(widths: tuple[int, ...] = (32, 64, 128), latent_channels: int = 4) -> AutoencoderKL:
    """An untrained `AutoencoderKL` that halves the sides at each width after the first."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=64,
    )


def to_tensor(pixels_BHW3: NDArray[np.uint8]) -> Tensor:
    """(B, 3, H, W) float32 in [-1, 1], channels last in memory, from uint8."""
    images = torch.from_numpy(np.ascontiguousarray(pixels_BHW3)).permute(0, 3, 1, 2)
    return images.float().div_(127.5).sub_(1.0).contiguous(memory_format=torch.channels_last)


def reconstruction_losses(images_BCHW: Tensor, target_BCHW: Tensor) -> dict[str, Tensor]:
    """Errors at three scales: of values, which keep colours right, and of differences, which keep edges sharp."""
    values, gradients = torch.zeros(()), torch.zeros(())
    ours, theirs = images_BCHW, target_BCHW
    for weight in AREA_WEIGHTS:
        values = values + weight * F.l1_loss(ours, theirs)
        gradients = gradients + (ours.diff(dim=-1) - theirs.diff(dim=-1)).abs().mean()
        gradients = gradients + (ours.diff(dim=-2) - theirs.diff(dim=-2)).abs().mean()
        ours, theirs = F.avg_pool2d(ours, 2), F.avg_pool2d(theirs, 2)
    return {
        "l1": values,
        "mse": F.mse_loss(images_BCHW, target_BCHW),
        "gradient": GRADIENT_WEIGHT * gradients / len(AREA_WEIGHTS),
    }


def draw_batch(thumbnails: dict[tuple[int, int], Thumbnails], size: int, rng: np.random.Generator) -> Tensor:
    """(size, 3, H, W) pictures of one bucket in [-1, 1], in changed light, half of the batches mirrored."""
    counts = np.array([len(thumbnails[bucket]) for bucket in BUCKETS], float)
    part = thumbnails[BUCKETS[rng.choice(len(BUCKETS), p=counts / counts.sum())]]
    rows = np.sort(rng.choice(len(part), size, replace=False))
    pixels = part.pixels_NHW3[rows]
    for index in np.flatnonzero(rng.random(size) < WEIGHTED_FRACTION):
        pixels[index] = weighted(pixels[index], part.keypoints_NK3[rows[index]])
    images = to_tensor(pixels[:, :, ::-1] if rng.random() < 0.5 else pixels)
    gains = 1.0 + 0.1 * torch.from_numpy(rng.standard_normal((size, 3, 1, 1)).astype(np.float32))
    return ((images + 1.0) * gains - 1.0).clamp_(-1.0, 1.0)


def weighted(pixels_HW3: NDArray[np.uint8], keypoints_K3: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The picture, dark away from its visible keypoints (fractions of the picture); unchanged without any."""
    height, width = pixels_HW3.shape[:2]
    is_visible = keypoints_K3[:, 2] > 0.5
    if not is_visible.any():
        return pixels_HW3
    positions = keypoints_K3[:, :2] * np.array([width, height], np.float32)
    return apply_weights(
        pixels_HW3, weight_map(positions, is_visible, height, width, sigma_px(height, width))
    )


@torch.no_grad()
def evaluate(
    model: AutoencoderKL, thumbnails: dict[tuple[int, int], Thumbnails], picture: Path
) -> dict[str, Any]:
    """PSNR in dB on pictures and statistics of their latents; pairs of pictures before and after go to `picture`."""
    errors, latents, sheet = [], [], []
    for bucket in BUCKETS:
        images = to_tensor(thumbnails[bucket].pixels_NHW3)
        means = model.encode(images).latent_dist.mean
        decoded = model.decode(means).sample.clamp(-1, 1)
        errors.append((decoded - images).pow(2).mean(dim=(1, 2, 3)))
        latents.append(means.permute(1, 0, 2, 3).flatten(1))
        pairs = torch.cat([images[:8], decoded[:8]], dim=2).permute(2, 0, 3, 1).flatten(1, 2)
        sheet.append(((pairs + 1) * 127.5).round().byte().numpy())
    side = max(row.shape[1] for row in sheet)
    rows = [np.pad(row, ((0, 0), (0, side - row.shape[1]), (0, 0))) for row in sheet]
    enlarged = cv2.resize(np.concatenate(rows), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(picture), enlarged[..., ::-1])
    all_latents = torch.cat(latents, dim=1)
    return {
        "psnr_db": float((10 * torch.log10(4.0 / torch.cat(errors))).mean()),
        "latent_std": float(all_latents.std()),
        "latent_mean": float(all_latents.mean()),
        "latent_std_of_channels": [round(float(s), 3) for s in all_latents.std(dim=1)],
    }


@pretrain_command("autoencoder", minutes=33.0, seed=20_300)
@thumbnails_option
@click.option("--batch-size", default=6, show_default=True)
@click.option("--learning-rate", default=1e-3, show_default=True)
def main(run: PretrainRun, *, thumbnails_dir: Path, batch_size: int, learning_rate: float) -> None:
    """Train the autoencoder; its folder is `vae` in the run folder."""
    parts = {bucket: part.split(NUM_HELD_OUT) for bucket, part in open_thumbnails(thumbnails_dir).items()}
    training = {bucket: part[0] for bucket, part in parts.items()}
    held_out = {bucket: part[1] for bucket, part in parts.items()}
    model = new_autoencoder().to(memory_format=torch.channels_last)
    preview = nn.Conv2d(model.config.latent_channels, 3, kernel_size=1)

    def losses(rng: np.random.Generator) -> dict[str, Tensor]:
        images = draw_batch(training, batch_size, rng)
        with half_precision():
            posterior = model.encode(images).latent_dist
            decoded = model.decode(posterior.sample()).sample
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        areas = F.avg_pool2d(images, 4)
        return {
            **reconstruction_losses(decoded.float(), images),
            "preview": PREVIEW_WEIGHT * F.l1_loss(preview(posterior.mean.float()), areas),
            "kl": KL_WEIGHT * kl,
        }

    def on_checkpoint(step: int) -> None:
        measured = evaluate(model, held_out, run.run_dir / "reconstructions.png")
        model.register_to_config(scaling_factor=round(1.0 / measured["latent_std"], 5))
        model.save_pretrained(run.run_dir / "vae")
        run.report(step, measured)

    trained = nn.ModuleDict({"vae": model, "preview": preview})
    run.train(trained, losses, on_checkpoint, learning_rate=learning_rate)


if __name__ == "__main__":
    main()
