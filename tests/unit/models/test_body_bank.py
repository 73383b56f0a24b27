from pathlib import Path

import pytest
import torch

from bolid_pipeline.errors import UnknownIdentity, WeightsMissing
from bolid_pipeline.models.body_bank import BodyBank


@pytest.fixture
def bank() -> BodyBank:
    names = ["anna-smith", "bob-stone", "zoë-kravitz"]
    return BodyBank.of({name: (torch.full((6,), float(i)), 10 + i) for i, name in enumerate(names)})


def test_a_person_has_her_own_vector(bank: BodyBank) -> None:
    assert bank["bob-stone"].tolist() == [1.0] * 6


def test_an_unknown_person_lists_near_names(bank: BodyBank) -> None:
    with pytest.raises(UnknownIdentity, match="did you mean anna-smith"):
        bank["ana-smith"]
    with pytest.raises(UnknownIdentity, match="it holds anna-smith, bob-stone"):
        bank["###"]


def test_a_forgotten_person_is_gone(bank: BodyBank, tmp_path: Path) -> None:
    bank.without("anna-smith").save(tmp_path)
    loaded = BodyBank.load(tmp_path)
    assert loaded.identities == ("bob-stone", "zoë-kravitz")
    assert loaded["bob-stone"].tolist() == [1.0] * 6
    assert b"anna" not in (tmp_path / "body_bank.json").read_bytes()


def test_save_and_load_is_exact(bank: BodyBank, tmp_path: Path) -> None:
    bank.save(tmp_path)
    loaded = BodyBank.load(tmp_path)
    assert (loaded.identities, loaded.num_views) == (bank.identities, bank.num_views)
    assert torch.equal(loaded.c_body_PD, bank.c_body_PD)


def test_a_missing_bank_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"body_bank\.safetensors"):
        BodyBank.load(tmp_path)
