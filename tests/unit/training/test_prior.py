"""A small prior on two kinds of people, one for each kind of text."""

from pathlib import Path

import pytest
import torch
from diffusers import PriorTransformer

from bolid_pipeline.errors import NotEnoughData
from bolid_pipeline.models.body_bank import BodyBank, PersonBody
from bolid_pipeline.models.body_prior import sample_bodies, text_vector
from bolid_pipeline.training.config import PriorConfig
from bolid_pipeline.training.prior import fit_body_prior

TALL, SHORT = torch.tensor([[1.0, 0.0, 0.0, 1.0]]), torch.tensor([[0.0, 1.0, 1.0, 0.0]])
CONFIG = PriorConfig(width=32, num_layers=2, num_heads=2, steps=300, batch_size=32, learning_rate=3e-3)


@pytest.fixture(scope="module")
def bank() -> BodyBank:
    """Tall people lie round +3 in the first dimension, short ones round -3, each elsewhere in the others."""
    generator = torch.Generator().manual_seed(0)
    bodies = {}
    for number in range(12):
        c_body = torch.randn(6, generator=generator)
        c_body[0] = 3.0 if number % 2 else -3.0
        bodies[f"{'tall' if number % 2 else 'short'}-{number}"] = PersonBody(c_body, 5, torch.full((6,), 0.1))
    return BodyBank.of(bodies)


@pytest.fixture(scope="module")
def prior(bank: BodyBank) -> PriorTransformer:
    captions = [*bank.identities, *bank.identities, "nobody-of-the-bank"]
    text = torch.cat([TALL if "tall" in identity else SHORT for identity in captions])
    return fit_body_prior(CONFIG, bank, captions, text + 0.01 * torch.randn(len(text), 4), seed=0)


def _bodies(prior: PriorTransformer, text: torch.Tensor, seed: int = 1, count: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return sample_bodies(prior, text.expand(count, -1), generator=generator)


def test_bodies_fit_the_text(prior: PriorTransformer) -> None:
    assert (_bodies(prior, TALL)[:, 0] > 1).float().mean() >= 0.9
    assert (_bodies(prior, SHORT)[:, 0] < -1).float().mean() >= 0.9


def test_bodies_of_one_text_vary_as_people_do(prior: PriorTransformer, bank: BodyBank) -> None:
    tall = torch.stack(
        [body for name, body in zip(bank.identities, bank.c_body_PD, strict=True) if "tall" in name]
    )
    of_people, of_samples = tall[:, 1:].std(), _bodies(prior, TALL)[:, 1:].std()
    assert 0.5 < of_samples / of_people < 1.5


def test_the_generator_decides(prior: PriorTransformer) -> None:
    assert torch.equal(_bodies(prior, TALL, seed=2), _bodies(prior, TALL, seed=2))
    assert not torch.equal(_bodies(prior, TALL, seed=2), _bodies(prior, TALL, seed=3))


def test_training_is_a_function_of_the_seed(bank: BodyBank) -> None:
    config = PriorConfig(width=16, num_layers=1, num_heads=2, steps=3, batch_size=4)
    first, again = (
        fit_body_prior(config, bank, bank.identities, torch.ones(len(bank.identities), 4), seed=0)
        for _ in range(2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not any(parameter.requires_grad for parameter in first.parameters())


def test_captions_of_nobody_are_refused(bank: BodyBank) -> None:
    with pytest.raises(NotEnoughData, match="no caption is of a person"):
        fit_body_prior(CONFIG, bank, ["somebody else"], TALL, seed=0)


def test_save_and_load_is_exact(prior: PriorTransformer, tmp_path: Path) -> None:
    prior.save_pretrained(tmp_path)
    loaded = PriorTransformer.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    assert torch.equal(_bodies(loaded, TALL), _bodies(prior, TALL))


def test_the_text_vector_does_not_see_later_windows() -> None:
    hidden = torch.randn(2, 154, 8)
    other = hidden.clone()
    other[:, 77:] = 0
    assert torch.equal(text_vector(hidden), text_vector(other))
