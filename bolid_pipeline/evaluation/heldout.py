"""L_diff on photos that training never saw: without identity, with the person's own body, with another person's.

All three see the same noise and noise level, so their differences come from the conditions alone. A lower loss with the
person's own body than with another's shows that c_body describes that person, not only the data set.
"""

from collections import defaultdict
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
        config: number of noise levels, rows and seed.

    Returns:
        {"l_diff_without_identity", "l_diff_with_identity", "l_diff_with_another_identity"}; empty without rows
        or without a body bank.
    """
    bank = pipe.body_bank
    if bank is None:
        return {}
    losses: dict[str, list[float]] = defaultdict(list)
    for row in tqdm(list(rows)[: config.max_heldout], desc="held-out photos", unit="photo"):
        person, caption = latents.identities[row], captions[latents.photo_ids[row]]
        photo = _noisy_photo(pipe, latents, row, caption, config)
        own, other = bank[person], bank[_next_person(bank.identities, person)]
        losses["l_diff_without_identity"].append(_loss(pipe, photo, own, 0.0))
        losses["l_diff_with_identity"].append(_loss(pipe, photo, own, config.body_scale))
        losses["l_diff_with_another_identity"].append(_loss(pipe, photo, other, config.body_scale))
    return {name: float(np.mean(values)) for name, values in losses.items()}


@dataclass(frozen=True)
class _NoisyPhoto:
    """A photo at B noise levels, the U-Net's targets for them, and the encoded caption."""

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
        text=encode_text(pipe, [caption]).expand(config.num_timesteps),
    )


def _loss(pipe: AnyBoLIDPipeline, photo: _NoisyPhoto, c_body_D: torch.Tensor, body_scale: float) -> float:
    """Mean squared error of the prediction, without a reference photo."""
    device, num_levels = pipe.unet.device, len(photo.timesteps_B)
    image_embed_dim = pipe.unet.encoder_hid_proj.image_projection_layers[0].image_embeds.in_features
    height, width = (side * pipe.vae_scale_factor for side in photo.noisy_BCHW.shape[-2:])
    conditions = Conditions(
        photo.text,
        torch.zeros(num_levels, image_embed_dim, device=device),
        c_body_D.expand(num_levels, -1).to(device),
        height,
        width,
    )
    adapters.set_scales(pipe.unet, 0.0, body_scale)
    prediction_BCHW = predict(
        pipe.unet, photo.noisy_BCHW.to(device), photo.timesteps_B.to(device), conditions
    )
    return float((prediction_BCHW.float().cpu() - photo.target_BCHW).square().mean())


def _levels(num_train_timesteps: int, num_levels: int) -> torch.Tensor:
    """Timesteps in the middle of equal parts of the schedule."""
    return ((torch.arange(num_levels) + 0.5) * num_train_timesteps / num_levels).long()


def _next_person(identities: Sequence[str], person: str) -> str:
    """The next person of the bank; the same person if the bank holds nobody else."""
    return identities[(identities.index(person) + 1) % len(identities)]
