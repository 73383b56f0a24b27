"""Training of the body prior, on the people of a finished body bank and the captions of their photos.

Shape suffixes: B bodies, D c_body, F text features, M captions, P people.
"""

from collections.abc import Sequence

import torch
from diffusers import DDPMScheduler, PriorTransformer
from torch.nn import functional as F
from tqdm import trange

from bolid_pipeline.errors import NotEnoughData
from bolid_pipeline.models.body_bank import BodyBank
from bolid_pipeline.models.body_prior import prior_noise_schedule
from bolid_pipeline.training.config import PriorConfig


def fit_body_prior(
    config: PriorConfig,
    bank: BodyBank,
    identities: Sequence[str],
    text_MF: torch.Tensor,
    *,
    seed: int,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> PriorTransformer:
    """Train a prior on the captions of the bank's people.

    Every person is drawn equally often, then one of the person's captions. The target is the person's c_body, plus
    noise as large as its spread over single photos.

    Args:
        config: size and effort.
        bank: the people.
        identities: person of each caption; captions of people whom the bank does not hold are left out.
        text_MF: `text_vector` of each caption.
        seed: seed of weights, batches and noise.
        device: where to train.
        progress: show a progress bar.

    Returns:
        The prior on the CPU, frozen, in eval mode.

    Raises:
        NotEnoughData: no caption is of a person of the bank.
    """
    rows_of_person = _rows_of_people(bank, identities)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        prior = _new_prior(config, bank.c_body_PD, text_MF).to(device)
    noise_schedule = prior_noise_schedule()
    generator = torch.Generator().manual_seed(seed)
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
    """Mean squared error of the predicted clean body at random noise levels, a scalar; predicting the mean gives 1."""
    clean_BD = (c_body_BD - prior.clip_mean) / prior.clip_std
    noise_BD = torch.randn(clean_BD.shape, generator=generator).to(clean_BD)
    num_levels = noise_schedule.config.num_train_timesteps
    timesteps_B = torch.randint(num_levels, (len(clean_BD),), generator=generator).to(clean_BD.device)
    noisy_BD = noise_schedule.add_noise(clean_BD, noise_BD, timesteps_B)
    predicted_BD = prior(noisy_BD, timesteps_B, proj_embedding=text_BF).predicted_image_embedding
    return F.mse_loss(predicted_BD, clean_BD)


def _new_prior(config: PriorConfig, c_body_PD: torch.Tensor, text_MF: torch.Tensor) -> PriorTransformer:
    """A fresh prior that works on bodies of mean 0 and, over all dimensions together, standard deviation 1.

    The text projection starts by standardising the text vectors, which are nearly equal.
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


def _rows_of_people(bank: BodyBank, identities: Sequence[str]) -> list[torch.Tensor]:
    """The captions of each person of the bank; an empty tensor where there is none."""
    rows_of: dict[str, list[int]] = {person: [] for person in bank.identities}
    for row, identity in enumerate(identities):
        if identity in rows_of:
            rows_of[identity].append(row)
    if not any(rows_of.values()):
        raise NotEnoughData("no caption is of a person of the body bank, so there is nothing to learn from")
    return [torch.tensor(rows) for rows in rows_of.values()]


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
