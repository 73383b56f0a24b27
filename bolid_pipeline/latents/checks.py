"""Checks of the latents."""

from collections.abc import Sequence

from bolid_pipeline.records import CheckOutcome


def latents_are_finite(num_latents: int, not_finite: Sequence[str]) -> CheckOutcome:
    """Check that no latent holds a NaN or an infinity.

    Args:
        num_latents: rows of the table.
        not_finite: the photos that `latents.cache.verify_latents` found.
    """
    problem = (
        f"the latents of {len(not_finite)} photos hold a NaN or an infinity: the VAE overflowed, as SDXL's own does in "
        "float16; delete the table `latents` and materialise it with another VAE"
    )
    return CheckOutcome(
        problem=problem if not_finite else None,
        numbers={"num_latents": num_latents, "num_not_finite": len(not_finite)},
        examples=not_finite[:20],
    )
