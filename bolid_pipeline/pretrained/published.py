"""What is known of a published model: its address, its files, its licence, its hashes. Without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

_SINGLE_FILES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".onnx")


@dataclass(frozen=True, kw_only=True)
class Licence:
    """The terms under which a model is published."""

    name: str
    """SPDX identifier, or the name that its authors gave it."""
    allows_products: bool
    """False if a closed or commercial product may not use the model under it."""
    conditions: str
    """What it asks of whoever uses the model, in a sentence."""


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """A model on the Hugging Face hub, or one of your own on this machine."""

    address: str
    """`owner/name` of a repository, `owner/name/path` of a file or folder in it, or the absolute path of your own."""
    files: tuple[str, ...] = ("*",)
    """Names, or patterns with `*`, of the files that are needed, in the folder that `address` names; `*` also stands
    for folders. Each must be there. Of a single file it says nothing."""
    licence: Licence | None = None
    """None if it is not known."""
    size_bytes: int | None = None
    """Of the needed files; None if it is not known."""
    revision: str | None = None
    """The commit on the hub, 40 hex digits; None if it has to be pinned first."""
    sha256: Mapping[str, str] = field(default_factory=dict[str, str])
    """Path in the repository -> 64 hex digits, of as many files as are known."""
    source: str = ""
    """Where revision and hashes were read."""

    @property
    def is_on_this_machine(self) -> bool:
        """True if the address is a path of this machine."""
        return self.address.startswith("/")

    @property
    def is_file(self) -> bool:
        """True if the address is that of a single file."""
        return PurePosixPath(self.address).suffix in _SINGLE_FILES

    @cached_property
    def repository(self) -> str:
        """`owner/name` on the hub, or the folder of this machine that `path` counts from."""
        if self.is_on_this_machine:
            return str(Path(self.address).parent) if self.is_file else self.address
        return "/".join(self.address.split("/")[:2])

    @cached_property
    def path(self) -> str:
        """Of the file or folder in the repository; empty for the whole repository."""
        return self.address.removeprefix(self.repository).removeprefix("/")

    @property
    def patterns(self) -> list[str]:
        """Names and patterns of the needed files, from the repository's root."""
        if self.is_file:
            return [self.path]
        return [f"{self.path}/{name}" if self.path else name for name in self.files]
