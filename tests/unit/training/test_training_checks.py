import pytest

from bolid_pipeline.training.checks import the_body_bank_knows_every_identity


@pytest.mark.parametrize("in_bank", [["anna"], ["anna", "boris", "forgotten"]])
def test_a_bank_of_other_people_than_the_latents_is_found(in_bank):
    outcome = the_body_bank_knows_every_identity(in_bank, ["anna", "anna", "boris"])
    assert (
        outcome.problem == "the body bank and the latents differ in 1 people: materialise `bolid_checkpoint`"
    )
    assert outcome.examples == sorted(set(in_bank) ^ {"anna", "boris"})


def test_a_bank_of_the_people_of_the_latents_passes():
    outcome = the_body_bank_knows_every_identity(["boris", "anna"], ["anna", "anna", "boris"])
    assert outcome.passed
    assert outcome.numbers == {"num_identities": 2, "num_different": 0}
