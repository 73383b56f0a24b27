"""The texts that the networks read beside a picture: whole captions and parts of captions."""

import numpy as np

from bodyworld.world.captions import compose_caption

_MIRRORED = {"facing left": "facing right", "facing right": "facing left"}


def mirrored(slots: dict[str, str]) -> dict[str, str]:
    """The phrases of the mirrored picture."""
    return slots | {"facing": _MIRRORED.get(slots["facing"], slots["facing"])}


def spoken_caption(slots: dict[str, str], rng: np.random.Generator, full_fraction: float = 0.6) -> str:
    """The whole caption, or one that leaves things out, as the prompts of people do."""
    caption = compose_caption(slots)
    if rng.random() < full_fraction:
        return caption
    who, *rest = caption.split(", ")
    if rng.random() < 0.5:
        who = f"a photo of a {slots['sex']}" + (f" with {slots['hair']}" if rng.random() < 0.5 else "")
    return ", ".join([who, *(part for part in rest if rng.random() < 0.6)])
