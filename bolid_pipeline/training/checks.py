"""Checks of a checkpoint."""

from collections.abc import Collection

from bolid_pipeline.records import CheckOutcome


def the_body_bank_knows_every_identity(in_bank: Collection[str], in_latents: Collection[str]) -> CheckOutcome:
    """Check that the body bank holds a c_body for everyone in the latents, and for nobody else.

    Args:
        in_bank: identities of the checkpoint's body bank.
        in_latents: identities of the latents.
    """
    different = sorted(set(in_bank) ^ set(in_latents))
    return CheckOutcome(
        problem=f"the body bank and the latents differ in {len(different)} people: materialise `bolid_checkpoint`"
        if different
        else None,
        numbers={"num_identities": len(set(in_bank)), "num_different": len(different)},
        examples=different[:20],
    )
