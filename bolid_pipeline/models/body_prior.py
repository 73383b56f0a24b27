"""The body prior: a text -> a body that fits it, so that a picture of nobody in particular has a body too.

unCLIP's prior (arXiv 2204.06125, section 2.2), small: diffusers' `PriorTransformer` denoises c_body and is told the
text by one vector. It predicts the clean c_body; noise and steps are DDPM's with the cosine schedule.

Shape suffixes: B bodies, D c_body, L text positions, F text features, M captions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import DDPMScheduler, PriorTransformer
from diffusers.utils.torch_utils import randn_tensor
from torch.nn import functional as F
from tqdm import trange

from bolid_pipeline.errors import NotEnoughData
from bolid_pipeline.models.body_bank import BodyBank

_WINDOW = 77  # positions of CLIP's text encoder


@dataclass(frozen=True, kw_only=True)
class BodyPriorConfig:
    """Size and training of a body prior.

    Attributes:
        width: channels inside, a multiple of `num_heads`.
        num_layers: transformer blocks.
        num_heads: heads of each.
        steps: optimiser steps.
        batch_size: captions per step.
        learning_rate: AdamW's.
        seed: of weights, batches and noise.
    """

    width: int = 256
    num_layers: int = 4
    num_heads: int = 4
    steps: int = 2000
    batch_size: int = 64
    learning_rate: float = 3e-4
    seed: int = 0


def text_vector(hidden_BLF: torch.Tensor) -> torch.Tensor:
    """(B, F) float32: the mean state of the first window, in which a caption says what a person looks like."""
    return hidden_BLF[:, :_WINDOW].float().mean(1)


def fit_body_prior(
    config: BodyPriorConfig,
    bank: BodyBank,
    identities: Sequence[str],
    text_MF: torch.Tensor,
    *,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> PriorTransformer:
    """Train a prior on the captions of the bank's people.

    Every person is drawn equally often, then one of the person's captions; the body to be found is the person's own,
    plus noise as wide as single photos of the person differ.

    Args:
        config: size and effort.
        bank: the people.
        identities: whose each caption is; captions of people whom the bank does not hold are left out.
        text_MF: `text_vector` of each caption.
        device: where to train.
        progress: show a progress bar.

    Returns:
        The prior on the CPU, frozen, in eval mode.

    Raises:
        NotEnoughData: no caption is of a person of the bank.
    """
    rows_of_person = _rows_of_people(bank, identities)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        prior = _new_prior(config, bank.c_body_PD, text_MF).to(device)
    noise_schedule = _noise_schedule()
    generator = torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.AdamW(prior.parameters(), lr=config.learning_rate)
    for _ in trange(config.steps, desc="body prior", disable=not progress):
        person_B, row_B = _draw(rows_of_person, config.batch_size, generator)
        spread_BD = torch.randn(config.batch_size, bank.c_body_PD.shape[1], generator=generator)
        c_body_BD = bank.c_body_PD[person_B] + spread_BD * bank.spread_PD[person_B]
        loss = prior_loss(prior, noise_schedule, text_MF[row_B].to(device), c_body_BD.to(device), generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return prior.cpu().requires_grad_(False).eval()


def prior_loss(
    prior: PriorTransformer,
    noise_schedule: DDPMScheduler,
    text_BF: torch.Tensor,
    c_body_BD: torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:
    """Mean squared error of the predicted clean body at random noise levels, a scalar; 1 is what the mean scores."""
    clean_BD = (c_body_BD - prior.clip_mean) / prior.clip_std
    noise_BD = torch.randn(clean_BD.shape, generator=generator).to(clean_BD)
    num_levels = noise_schedule.config.num_train_timesteps
    timesteps_B = torch.randint(num_levels, (len(clean_BD),), generator=generator).to(clean_BD.device)
    noisy_BD = noise_schedule.add_noise(clean_BD, noise_BD, timesteps_B)
    predicted_BD = prior(noisy_BD, timesteps_B, proj_embedding=text_BF).predicted_image_embedding
    return F.mse_loss(predicted_BD, clean_BD)


@torch.no_grad()
def sample_bodies(
    prior: PriorTransformer,
    text_BF: torch.Tensor,
    *,
    generator: torch.Generator | list[torch.Generator] | None = None,
    num_steps: int = 25,
) -> torch.Tensor:
    """Draw a body for each text, another one each time.

    Args:
        prior: from `fit_body_prior`.
        text_BF: `text_vector` of each text.
        generator: of the noise; one for all or one each.
        num_steps: denoising steps.

    Returns:
        (B, D) of the prior's dtype, on its device.
    """
    text_BF = text_BF.to(prior.device, prior.dtype)
    schedule = _noise_schedule()
    schedule.set_timesteps(num_steps, device=prior.device)
    shape = (len(text_BF), prior.config.embedding_dim)
    bodies_BD = randn_tensor(shape, generator=generator, device=prior.device, dtype=prior.dtype)
    for timestep in schedule.timesteps:
        predicted_BD = prior(bodies_BD, timestep, proj_embedding=text_BF).predicted_image_embedding
        bodies_BD = schedule.step(predicted_BD, timestep, bodies_BD, generator=generator).prev_sample
    return prior.post_process_latents(bodies_BD)


def _new_prior(config: BodyPriorConfig, c_body_PD: torch.Tensor, text_MF: torch.Tensor) -> PriorTransformer:
    """A fresh prior that works on bodies of mean 0 and, over all dimensions together, standard deviation 1.

    Its first look at the text is at what tells captions apart: most of a text vector is common to all of them.
    """
    prior = PriorTransformer(
        num_attention_heads=config.num_heads,
        attention_head_dim=config.width // config.num_heads,
        num_layers=config.num_layers,
        embedding_dim=c_body_PD.shape[1],
        num_embeddings=0,
        embedding_proj_dim=text_MF.shape[1],
        encoder_hid_proj_type=None,
    )
    mean_D = c_body_PD.mean(0)
    prior.clip_mean.data[:] = mean_D
    prior.clip_std.data[:] = (c_body_PD - mean_D).square().mean().sqrt().clamp_min(1e-6)
    projection = prior.embedding_proj
    projection.weight.data /= text_MF.std(0, correction=0).clamp_min(1e-3)
    projection.bias.data -= projection.weight.data @ text_MF.mean(0)
    prior.clip_mean.requires_grad_(False)
    prior.clip_std.requires_grad_(False)
    return prior


def _noise_schedule() -> DDPMScheduler:
    return DDPMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        clip_sample=False,
        timestep_spacing="trailing",
    )


def _rows_of_people(bank: BodyBank, identities: Sequence[str]) -> list[torch.Tensor]:
    """The captions of each person of the bank; an empty tensor where there is none."""
    rows = [
        torch.tensor([row for row, identity in enumerate(identities) if identity == person])
        for person in bank.identities
    ]
    if not any(map(len, rows)):
        raise NotEnoughData("no caption is of a person of the body bank, so there is nothing to learn from")
    return rows


def _draw(
    rows_of_person: list[torch.Tensor], batch_size: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """People of the bank (B,) who have captions, and one caption of each (B,)."""
    people = torch.tensor([person for person, rows in enumerate(rows_of_person) if len(rows)])
    person_B = people[torch.randint(len(people), (batch_size,), generator=generator)]
    share_B = torch.rand(batch_size, generator=generator)
    row_B = torch.stack(
        [
            rows_of_person[person][int(share * len(rows_of_person[person]))]
            for person, share in zip(person_B.tolist(), share_B.tolist(), strict=True)
        ]
    )
    return person_B, row_B
