"""Weight files and their sha256, which is checked before anything is loaded."""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from bolid_pipeline.errors import WeightsMismatch, WeightsMissing

_NOT_WEIGHTS = ("README.md",)


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A file of weights and the sha256 that it must have, 64 hex digits; None leaves it unchecked."""

    path: Path
    sha256: str | None = None


Weights = WeightsFile | Path
"""Pretrained weights: one file, or a model folder."""


def verify(weights: WeightsFile) -> Path:
    """Check a file against its pinned sha256, and return its path.

    Raises:
        WeightsMissing: the file is missing.
        WeightsMismatch: the file has another sha256 than the pinned one.
    """
    if not weights.path.is_file():
        raise WeightsMissing(f"no weights at {weights.path}")
    if weights.sha256 is not None:
        found = file_sha256(weights.path)
        if found != weights.sha256.lower():
            raise WeightsMismatch(
                f"{weights.path} has sha256 {found}, but {weights.sha256.lower()} is pinned: fetch it anew"
            )
    return weights.path


def file_sha256(path: Path) -> str:
    """The sha256 of a file in hex, computed again only when the file changes. Raises WeightsMissing."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise WeightsMissing(f"no weights at {path}") from None
    return _sha256(path, status.st_mtime_ns, status.st_size)


def content_sha256(place: Path) -> str:
    """The sha256 in hex of a file, or of a model folder. Raises WeightsMissing."""
    return folder_sha256(place) if place.is_dir() else file_sha256(place)


def folder_sha256(folder: Path) -> str:
    """One sha256 in hex over names and contents of all files of a model folder, except README.md and hidden files.

    Raises:
        WeightsMissing: the folder is missing or empty.
    """
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name not in _NOT_WEIGHTS and not path.name.startswith(".")
    )
    if not files:
        raise WeightsMissing(f"no weights in {folder}")
    listing = "".join(f"{path.relative_to(folder).as_posix()}\0{file_sha256(path)}\n" for path in files)
    return hashlib.sha256(listing.encode()).hexdigest()


@functools.lru_cache(maxsize=256)
def _sha256(path: Path, _modified_ns: int, _size_bytes: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
