"""The folder of generated pictures: each gets a name of its own, and none replaces another."""

import os
import re
import unicodedata
from pathlib import Path

from PIL.Image import Image

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.models.provenance import generated_png
from bolid_pipeline.storage.atomic import write_atomically, write_new

_MOST_BYTES = 60
"""Of a person's name and of a prompt in a file name; file systems allow 255 bytes for all of it."""


class PictureFolder:
    """Writes pictures as `<person>-<prompt>-<seed>.png`, with a number behind if the name is taken.

    Args:
        folder: made with the first picture.
        overwrite: replace pictures of earlier runs; those of this run still get numbers.
    """

    def __init__(self, folder: Path, *, overwrite: bool = False) -> None:
        self._folder = folder
        self._overwrite = overwrite
        self._written: set[Path] = set()

    def check(self) -> None:
        """Look whether pictures can be written, and make nothing. Raises ConfigurationError."""
        try:
            nearest = self._folder.absolute()
            while not (nearest.exists() or nearest.is_symlink()):
                nearest = nearest.parent
        except OSError as error:
            raise ConfigurationError(f"--out {self._folder} is no folder: {error.strerror}") from error
        if not nearest.is_dir():
            raise ConfigurationError(f"--out {self._folder} cannot be made: {nearest} is no folder")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise ConfigurationError(
                f"--out {self._folder} cannot be written: {nearest} is not yours to write"
            )

    def save(self, image: Image, *, prompt: str, identity: str | None, seed: int) -> Path:
        """Write a picture, and return its path."""
        png = generated_png(image, prompt=prompt, identity=identity)
        name = "-".join(filter(None, (slug(identity or ""), slug(prompt), str(seed))))
        path, number = self._folder / f"{name}.png", 1
        while not self._put(path, png):
            number += 1
            path = self._folder / f"{name}-{number}.png"
        self._written.add(path)
        return path

    def _put(self, path: Path, png: bytes) -> bool:
        """Write a file; False, and nothing written, if its name is taken."""
        if self._overwrite and path not in self._written:
            write_atomically(path, png)
            return True
        try:
            write_new(path, png)
        except FileExistsError:
            return False
        return True


def slug(text: str) -> str:
    """The words of a text in lower case, joined by underscores, as many letters as fit into a file name."""
    words = re.sub(r"[^\w+]+", "_", unicodedata.normalize("NFC", text).casefold()).strip("_")
    return words.encode()[:_MOST_BYTES].decode(errors="ignore").strip("_")
