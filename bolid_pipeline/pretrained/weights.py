"""Which weight file, and is it the one that was meant: a sha256 says so before anything is loaded."""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from bolid_pipeline.errors import WeightsMismatch, WeightsMissing

_NOT_WEIGHTS = ("README.md",)


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A file of weights and, where it is pinned, the sha256 it must have (64 hex digits)."""

    path: Path
    sha256: str | None = None


def verify(weights: WeightsFile) -> Path:
    """The file's path, once it is there and the one that was pinned.

    Raises:
        WeightsMissing: no file at the path.
        WeightsMismatch: the file has another sha256 than the pinned one.
    """
    if not weights.path.is_file():
        raise WeightsMissing(f"no weights at {weights.path}")
    if weights.sha256 is not None:
        found = file_sha256(weights.path)
        if found != weights.sha256.lower():
            raise WeightsMismatch(f"{weights.path} has sha256 {found}, pinned is {weights.sha256.lower()}")
    return weights.path


def file_sha256(path: Path) -> str:
    """The sha256 of a file in hex; computed once for a file that does not change. Raises WeightsMissing."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise WeightsMissing(f"no weights at {path}") from None
    return _sha256(path, status.st_mtime_ns, status.st_size)


def folder_sha256(folder: Path) -> str:
    """One sha256 in hex for all files of a model folder and their names; README.md and hidden files aside.

    Raises:
        WeightsMissing: no such folder, or nothing in it.
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
