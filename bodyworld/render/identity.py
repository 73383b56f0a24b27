"""A person's identity: body and face parameters that stay the same from photo to photo."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

SEXES = ("woman", "man")
HAIR_STYLES = ("bald", "short", "bob", "long", "afro", "bun", "ponytail")
HAIR_COLOURS: dict[str, tuple[float, float, float]] = {
    "black": (0.07, 0.06, 0.06),
    "brown": (0.30, 0.18, 0.10),
    "blond": (0.84, 0.68, 0.38),
    "red": (0.62, 0.23, 0.08),
    "grey": (0.62, 0.61, 0.60),
}
EYE_COLOURS: dict[str, tuple[float, float, float]] = {
    "brown": (0.28, 0.16, 0.08),
    "blue": (0.25, 0.48, 0.70),
    "green": (0.30, 0.48, 0.28),
    "grey": (0.48, 0.52, 0.55),
}
SKIN_LADDER = np.array(
    [
        (0.98, 0.84, 0.75),
        (0.93, 0.75, 0.62),
        (0.83, 0.62, 0.46),
        (0.66, 0.45, 0.31),
        (0.47, 0.31, 0.22),
        (0.33, 0.21, 0.15),
    ]
)

RANGES: dict[str, tuple[float, float]] = {
    "height_m": (1.46, 2.04),
    "shoulder_fraction": (0.205, 0.285),
    "hip_fraction": (0.165, 0.235),
    "leg_fraction": (0.445, 0.535),
    "arm_fraction": (0.305, 0.37),
    "upper_leg_fraction": (0.46, 0.55),
    "upper_arm_fraction": (0.49, 0.58),
    "head_fraction": (0.121, 0.15),
    "neck_fraction": (0.022, 0.044),
    "build": (0.0, 1.0),
    "muscle": (0.0, 1.0),
    "chest": (0.0, 1.0),
    "waist": (0.0, 1.0),
    "skin_tone": (0.0, 1.0),
    "hair_length": (0.0, 1.0),
    "hair_volume": (0.0, 1.0),
    "beard": (0.0, 1.0),
    "face_width": (0.0, 1.0),
    "jaw": (0.0, 1.0),
    "eye_spacing": (0.0, 1.0),
    "eye_size": (0.0, 1.0),
    "nose_length": (0.0, 1.0),
    "mouth_width": (0.0, 1.0),
    "lip_fullness": (0.0, 1.0),
    "brow_thickness": (0.0, 1.0),
    "glasses": (0.0, 1.0),
}
"""Least and greatest value of every number of a `BodyIdentity`."""


@dataclass(frozen=True, kw_only=True)
class BodyIdentity:
    """One person. A `*_fraction` is a share of the height; a number without a unit runs from 0 to 1."""

    sex: str
    hair_style: str
    hair_colour: str
    eye_colour: str
    height_m: float
    shoulder_fraction: float
    hip_fraction: float
    leg_fraction: float
    arm_fraction: float
    upper_leg_fraction: float
    """Share of the whole leg."""
    upper_arm_fraction: float
    """Share of the whole arm."""
    head_fraction: float
    neck_fraction: float
    build: float
    """0 slim, 1 heavy."""
    muscle: float
    chest: float
    waist: float
    """0 narrow, 1 wide."""
    skin_tone: float
    """0 light, 1 dark."""
    hair_length: float
    hair_volume: float
    beard: float
    """0 none, 0.5 stubble, 1 dense."""
    face_width: float
    jaw: float
    eye_spacing: float
    eye_size: float
    nose_length: float
    mouth_width: float
    lip_fullness: float
    brow_thickness: float
    glasses: float
    """0 without, 1 with."""

    def vector(self) -> NDArray[np.float32]:
        """All parameters as (D,) float32 in [0, 1]: scaled numbers in the order of the fields, then one-hot choices."""
        numbers = [
            (getattr(self, field.name) - RANGES[field.name][0])
            / (RANGES[field.name][1] - RANGES[field.name][0])
            for field in fields(self)
            if field.name in RANGES
        ]
        choices = (
            (self.sex, SEXES),
            (self.hair_style, HAIR_STYLES),
            (self.hair_colour, tuple(HAIR_COLOURS)),
            (self.eye_colour, tuple(EYE_COLOURS)),
        )
        one_hot = [float(value == option) for value, options in choices for option in options]
        return np.clip(np.array(numbers + one_hot, np.float32), 0.0, 1.0)

    def skin_rgb(self) -> NDArray[np.float32]:
        """Skin colour, (3,) float32 RGB in [0, 1]."""
        position = self.skin_tone * (len(SKIN_LADDER) - 1)
        steps = np.arange(len(SKIN_LADDER))
        return np.array([np.interp(position, steps, SKIN_LADDER[:, c]) for c in range(3)], np.float32)


def sample_identity(rng: np.random.Generator) -> BodyIdentity:
    """Draw a person. Proportions are nearly uniform over wide ranges, so that bodies can be told apart."""
    is_man = bool(rng.random() < 0.5)
    values = {name: float(rng.uniform(low, high)) for name, (low, high) in RANGES.items()}
    values["height_m"] = float(np.clip(rng.normal(1.82 if is_man else 1.66, 0.11), *RANGES["height_m"]))
    values["build"] = float(np.clip(rng.beta(0.9, 1.2), 0.0, 1.0))
    values["shoulder_fraction"] = _skewed(rng, "shoulder_fraction", 0.65 if is_man else 0.35)
    values["hip_fraction"] = _skewed(rng, "hip_fraction", 0.35 if is_man else 0.65)
    values["muscle"] = _skewed(rng, "muscle", 0.6 if is_man else 0.35)
    values["jaw"] = _skewed(rng, "jaw", 0.7 if is_man else 0.3)
    values["lip_fullness"] = _skewed(rng, "lip_fullness", 0.3 if is_man else 0.7)
    values["beard"] = float(rng.uniform(0.5, 1.0)) if is_man and rng.random() < 0.4 else 0.0
    values["glasses"] = 1.0 if rng.random() < 0.15 else 0.0
    styles, weights = (
        (("bald", "short", "long", "afro"), (0.25, 0.55, 0.08, 0.12))
        if is_man
        else (("short", "bob", "long", "afro", "bun", "ponytail"), (0.1, 0.2, 0.35, 0.1, 0.12, 0.13))
    )
    return BodyIdentity(
        sex="man" if is_man else "woman",
        hair_style=str(rng.choice(styles, p=weights)),
        hair_colour=str(rng.choice(tuple(HAIR_COLOURS), p=(0.3, 0.27, 0.2, 0.13, 0.1))),
        eye_colour=str(rng.choice(tuple(EYE_COLOURS), p=(0.45, 0.3, 0.15, 0.1))),
        **values,
    )


def _skewed(rng: np.random.Generator, name: str, centre: float) -> float:
    low, high = RANGES[name]
    return low + (high - low) * float(rng.beta(2.6 * centre, 2.6 * (1.0 - centre)))
