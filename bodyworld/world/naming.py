"""Names of people, slugs and files, as odd as on the real site."""

import numpy as np

_WOMEN = "Anna Clara Dunja Elif Freya Greta Hanna Ines Jorun Kaia Lina Mira Nadia Olga Petra Rosa Selma Tilda Vera Ylva"
_MEN = "Arne Boris Carlo Davor Emil Fabio Goran Hugo Ivan Jonas Karl Luca Milan Nils Otto Pavel Rolf Stefan Timo Viktor"
_FAMILIES = (
    "Berg Castell Dorn Ekman Falk Grove Holm Ilves Jarvi Krantz Lund Moreau Nyberg "
    "Orlow Pavic Quist Rask Stahl Torin Ulrich Varga Winter Young Zeller"
)
_FIRST_NAMES = {"woman": _WOMEN.split(), "man": _MEN.split()}
_LAST_NAMES = _FAMILIES.split()
_LATIN = "abcdefghijklmnopqrstuvwyz"
_CYRILLIC = "абкдефгхийклмнопкрстуввиц"
_TO_CYRILLIC = str.maketrans(_LATIN + _LATIN.upper(), _CYRILLIC + _CYRILLIC.upper())


def invent_name(sex: str, number: int, taken: set[str], rng: np.random.Generator) -> tuple[str, str]:
    """(slug, name) of the person of that number, such as `anna_berg` and "Anna Berg"; the slug is not in `taken`.

    The second person has an initial, as in `anna_p._berg`. Every fourth name is written in Cyrillic letters; its slug
    stays Latin.
    """
    while True:
        first, last = str(rng.choice(_FIRST_NAMES[sex])), str(rng.choice(_LAST_NAMES))
        has_initial = number == 1 or rng.random() < 0.03
        name = f"{first} {rng.choice(tuple('ABDGHJKLMPRST'))}. {last}" if has_initial else f"{first} {last}"
        slug = name.lower().replace(" ", "_")
        if len(taken) > 300 and slug in taken:
            slug, name = f"{slug}_{number}", f"{name} {number}"
        if slug not in taken:
            return slug, name.translate(_TO_CYRILLIC) if number % 4 == 2 else name


def file_name(slug: str, index: int) -> str:
    """The file name of a photo, such as `anna_berg_0012.jpg`.

    Some names have a blank, the `(1)` of a copy or a `+`, or are cut to 20 characters.
    """
    stem = f"{slug}_{index:04d}"
    match index % 17:
        case 5:
            stem = f"{slug.replace('_', ' ')} {index:04d}"
        case 9:
            stem = f"{stem} (1)"
        case 12:
            stem = f"{slug}+{index:04d}"
        case 15:
            stem = f"{index:04d}_{slug}_in_a_long_title"[:20]
        case _:
            pass
    return f"{stem}.jpg"
