from pathlib import Path

import pytest
import torch

from bolid_pipeline.errors import NotEnoughData, UnknownIdentity, WeightsMissing
from bolid_pipeline.models.body_bank import BodyBank, PersonBody


@pytest.fixture
def bank() -> BodyBank:
    names = ["anna-smith", "bob-stone", "zoë-kravitz"]
    return BodyBank.of(
        {
            name: PersonBody(torch.full((6,), float(i)), 10 + i, torch.full((6,), 0.1 * i))
            for i, name in enumerate(names)
        }
    )


def test_a_person_has_her_own_vector(bank: BodyBank) -> None:
    assert bank["bob-stone"].tolist() == [1.0] * 6


def test_an_unknown_person_lists_near_names(bank: BodyBank) -> None:
    with pytest.raises(UnknownIdentity, match="did you mean anna-smith"):
        bank["ana-smith"]
    with pytest.raises(UnknownIdentity, match="it holds anna-smith, bob-stone"):
        bank["###"]


def test_between_two_people(bank: BodyBank) -> None:
    assert bank.between("anna-smith", "zoë-kravitz", 0.25).tolist() == [0.5] * 6
    assert torch.equal(bank.between("anna-smith", "bob-stone", 1.0), bank["bob-stone"])
    with pytest.raises(UnknownIdentity, match="nobody"):
        bank.between("anna-smith", "nobody")


@pytest.mark.parametrize(
    ("prompt", "identity"),
    [
        ("Anna Smith running on a beach", "anna-smith"),
        ("a portrait of Zoë Kravitz, smiling", "zoë-kravitz"),
        ("joanna smithson and bob at a stone", None),
        ("a woman", None),
    ],
)
def test_a_prompt_names_a_person(bank: BodyBank, prompt: str, identity: str | None) -> None:
    assert bank.named_in(prompt) == identity


def test_the_longer_name_is_meant() -> None:
    bank = BodyBank.of({name: (torch.zeros(2), 1) for name in ("anna_smith", "anna_smith_jones")})
    assert bank.named_in("Anna Smith-Jones at sea") == "anna_smith_jones"


def test_a_bank_of_nobody_is_refused(bank: BodyBank) -> None:
    with pytest.raises(NotEnoughData, match="nobody to put into the body bank"):
        BodyBank.of({})
    empty = bank.without("anna-smith").without("bob-stone").without("zoë-kravitz")
    with pytest.raises(UnknownIdentity, match="the body bank is empty"):
        empty["anna-smith"]


def test_a_forgotten_person_is_gone(bank: BodyBank, tmp_path: Path) -> None:
    bank.without("anna-smith").save(tmp_path)
    loaded = BodyBank.load(tmp_path)
    assert loaded.identities == ("bob-stone", "zoë-kravitz")
    assert loaded["bob-stone"].tolist() == [1.0] * 6
    assert len(loaded.spread_PD) == 2
    assert b"anna" not in (tmp_path / "body_bank.json").read_bytes()


def test_save_and_load_is_exact(bank: BodyBank, tmp_path: Path) -> None:
    bank.save(tmp_path)
    loaded = BodyBank.load(tmp_path)
    assert (loaded.identities, loaded.num_views) == (bank.identities, bank.num_views)
    assert torch.equal(loaded.c_body_PD, bank.c_body_PD)
    assert torch.equal(loaded.spread_PD, bank.spread_PD)


def test_a_missing_bank_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"body_bank\.safetensors"):
        BodyBank.load(tmp_path)
