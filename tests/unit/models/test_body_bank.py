import unicodedata
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


@pytest.mark.parametrize(
    ("names", "prompt", "identity"),
    [
        (["王芳"], "王芳在海滩上", "王芳"),
        (["王芳"], "一张王芳的照片", "王芳"),
        (["王芳", "王芳芳"], "王芳芳在海滩上", "王芳芳"),
        (["王芳"], "王方在海滩上", None),
        (["王"], "王芳在海滩上", None),
        (["さくら"], "浜辺のさくらさん", "さくら"),
        (["김민수"], "김민수가 해변에서 걷는다", "김민수"),
        (["สมชาย"], "ภาพของสมชายที่ชายหาด", "สมชาย"),
        (["มาน"], "ภาพของมานีที่ชายหาด", None),
        (["anna"], "anna在海滩上", "anna"),
        (["anna"], "hannah at sea", None),
        (["анна"], "жанна у моря", None),
        (["анна"], "Анна у моря", "анна"),
        (["राम"], "रामा समुद्र तट पर", None),
        (["राम"], "रमा समुद्र तट पर", None),
        (["राम"], "राम समुद्र तट पर", "राम"),
        (["zoë_müller"], unicodedata.normalize("NFD", "Zoë Müller at sea"), "zoë_müller"),
        (["groß"], "GROSS at sea", "groß"),
        (["anna"], "ＡＮＮＡ at sea", "anna"),
        (["🙂"], "🙂 at sea", "🙂"),
    ],
)
def test_a_prompt_names_a_person_in_any_script(names: list[str], prompt: str, identity: str | None) -> None:
    assert BodyBank.of({name: (torch.zeros(2), 1) for name in names}).named_in(prompt) == identity


def test_a_person_is_found_by_another_spelling_of_the_name(bank: BodyBank) -> None:
    for spelling in ("Anna Smith", "ANNA_SMITH", unicodedata.normalize("NFD", "ZOË-kravitz")):
        assert bank[spelling].tolist() == bank[spelling.casefold().replace(" ", "-")].tolist()
    assert bank.without(unicodedata.normalize("NFD", "zoë-kravitz")).identities == ("anna-smith", "bob-stone")


def test_of_two_people_of_one_spelling_the_exact_one_is_meant() -> None:
    bank = BodyBank.of({name: (torch.full((2,), float(len(name))), 1) for name in ("Anna", "anna_", "bo")})
    assert bank["anna_"].tolist() == [5.0] * 2
    with pytest.raises(UnknownIdentity, match=r"did you mean .*Anna"):
        bank["anna"]


@pytest.mark.parametrize(("held", "typed"), [("\u0430nna", "anna"), ("anna", "\u0430nna")])
def test_a_suggestion_that_looks_the_same_is_told_apart(held: str, typed: str) -> None:
    bank = BodyBank.of({held: (torch.zeros(2), 1)})
    with pytest.raises(UnknownIdentity) as caught:
        bank[typed]
    assert f"did you mean {held} ({typed!a} is not {held!a})?" in str(caught.value)


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
