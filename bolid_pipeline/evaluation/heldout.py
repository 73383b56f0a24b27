"""L_diff on photos that training never saw: without identity, with the person's own body, with another person's.

All three see the same noise and noise level, so their differences come from the conditions alone. A lower loss with the
person's own body than with another's shows that c_body describes that person, not only the data set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import DDPMScheduler
from tqdm import tqdm

from bolid_pipeline.evaluation.config import EvaluationConfig
from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.models import adapters
from bolid_pipeline.models.pipeline import AnyBoLIDPipeline
from bolid_pipeline.models.text import EncodedText, encode_text
from bolid_pipeline.pretrained.memory import BatchSize
from bolid_pipeline.training.conditions import Conditions, predict
from bolid_pipeline.training.losses.diffusion import prediction_target


@torch.no_grad()
def heldout_losses(
    pipe: AnyBoLIDPipeline,
    latents: LatentTable,
    rows: Sequence[int],
    captions: Mapping[str, str],
    config: EvaluationConfig,
) -> dict[str, float]:
    """Mean unweighted L_diff over rows and noise levels.

    Args:
        pipe: a pipeline with a checkpoint loaded; its body bank holds everybody in `rows`.
        latents: the latent table.
        rows: numbers of its held-out rows.
        captions: photo id -> caption.
        config: number of noise levels, rows and seed, and the size of batches, which are halved where they do not fit.

    Returns:
        {"l_diff_without_identity", "l_diff_with_identity", "l_diff_with_another_identity"}; empty without rows
        or without a body bank.
    """
    bank = pipe.body_bank
    measured = rows[: config.max_heldout]
    if bank is None or not measured:
        return {}
    adapters.set_scales(pipe.unet, 0.0, config.body_scale)
    size = BatchSize(config.batch_size, "noisy photos")
    losses: list[list[float]] = []
    for row in tqdm(measured, desc="held-out photos", unit="photo"):
        person, caption = latents.identities[row], captions[latents.photo_ids[row]]
        photo = _noisy_photo(pipe, latents, row, caption, config)
        own, other = bank[person], bank[_next_person(bank.identities, person)]
        nobody = torch.zeros_like(own)  # whose branch gives exactly nothing, see `models.adapters`
        losses.append(_losses(pipe, photo, torch.stack([nobody, own, other]), size))
    names = ("l_diff_without_identity", "l_diff_with_identity", "l_diff_with_another_identity")
    return dict(zip(names, np.mean(losses, axis=0).tolist(), strict=True))


@dataclass(frozen=True)
class _NoisyPhoto:
    """A photo at B noise levels, the U-Net's targets for them, and the encoded caption, one row."""

    noisy_BCHW: torch.Tensor
    target_BCHW: torch.Tensor
    timesteps_B: torch.Tensor
    text: EncodedText


def _noisy_photo(
    pipe: AnyBoLIDPipeline, latents: LatentTable, row: int, caption: str, config: EvaluationConfig
) -> _NoisyPhoto:
    scheduler = DDPMScheduler.from_config(pipe.scheduler.config)
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + row)
    latent_CHW = torch.from_numpy(latents.latent(row).astype(np.float32)) * latents.layout.scaling_factor
    latents_BCHW = latent_CHW.expand(config.num_timesteps, -1, -1, -1)
    noise_BCHW = torch.randn(latents_BCHW.shape, generator=generator)
    timesteps_B = _levels(scheduler.config.num_train_timesteps, config.num_timesteps)
    return _NoisyPhoto(
        noisy_BCHW=scheduler.add_noise(latents_BCHW, noise_BCHW, timesteps_B),
        target_BCHW=prediction_target(scheduler, latents_BCHW, noise_BCHW, timesteps_B),
        timesteps_B=timesteps_B,
        text=encode_text(pipe, [caption]),
    )


def _losses(
    pipe: AnyBoLIDPipeline, photo: _NoisyPhoto, bodies_PD: torch.Tensor, size: BatchSize
) -> list[float]:
    """Mean squared error of the prediction with each of the bodies, without a reference photo."""
    device, num_levels = pipe.unet.device, len(photo.timesteps_B)
    height, width = (side * pipe.vae_scale_factor for side in photo.noisy_BCHW.shape[-2:])
    body_BD = bodies_PD.repeat_interleave(num_levels, dim=0)
    level_B = torch.arange(len(body_BD)) % num_levels

    def errors(part: slice) -> torch.Tensor:
        levels = level_B[part]
        conditions = Conditions(
            photo.text.expand(len(levels)),
            torch.zeros(len(levels), adapters.ref_input_dim(pipe.unet), device=device),
            body_BD[part].to(device),
            height,
            width,
        )
        prediction_BCHW = predict(
            pipe.unet, photo.noisy_BCHW[levels].to(device), photo.timesteps_B[levels].to(device), conditions
        )
        return (prediction_BCHW.float().cpu() - photo.target_BCHW[levels]).square().mean(dim=(1, 2, 3))

    errors_B = torch.cat([*size.batches(len(body_BD), errors)])
    return errors_B.view(len(bodies_PD), num_levels).mean(1).tolist()


def _levels(num_train_timesteps: int, num_levels: int) -> torch.Tensor:
    """Timesteps in the middle of equal parts of the schedule."""
    return ((torch.arange(num_levels) + 0.5) * num_train_timesteps / num_levels).long()


def _next_person(identities: Sequence[str], person: str) -> str:
    """The next person of the bank; the same person if the bank holds nobody else."""
    return identities[(identities.index(person) + 1) % len(identities)]
