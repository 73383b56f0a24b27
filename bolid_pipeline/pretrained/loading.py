"""One line for whatever a loader raises. Without torch, because the command line looks at a checkpoint's JSON first."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten

from bolid_pipeline.errors import BolidError, WeightsMismatch

_MOST_LETTERS = 160
"""Of a loader's own message; that of a wrong state dict has a line for each of hundreds of layers."""


@contextmanager
def loading(place: Path) -> Iterator[Path]:
    """Turn whatever a loader raises about damaged or wrong files into one line that names their place.

    Loaders raise errors of a dozen types: those of safetensors, pickle, JSON, torch and of transformers itself.

    Raises:
        WeightsMismatch: the files in `place` are damaged, or of another kind than the loader expects.
    """
    try:
        yield place
    except BolidError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {first_words(error)}"
        raise WeightsMismatch(
            f"{place} is damaged, or holds something else than is needed ({reason})"
        ) from error


def first_words(error: Exception) -> str:
    """The beginning of a loader's message, in one line."""
    return shorten(str(error), _MOST_LETTERS, placeholder=" ...")
