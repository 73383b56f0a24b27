"""Walking a folder of photos: who is there, and each file's address, size and time. No file is opened.

A file's address is its place relative to the root, percent-encoded, so that it is the same wherever the root lies and
holds names that are not UTF-8.
"""

import bisect
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote_to_bytes

from bolid_pipeline.errors import SourceUnreachable
from bolid_pipeline.names import display_name, identity_of_path


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A file in a person's folder."""

    page_url: str
    """Its address relative to the root."""
    size_bytes: int
    mtime_ns: int


@dataclass(slots=True, kw_only=True)
class FoundPerson:
    """A person with all their files. Folders whose names are the same text in other bytes are one person's."""

    identity: str
    name: str
    page_url: str
    """Address of the first of their folders."""
    files: list[FoundFile] = field(default_factory=list[FoundFile])
    """By address."""

    def add(self, file: FoundFile) -> None:
        """Add a file at its place."""
        bisect.insort(self.files, file, key=lambda file: file.page_url)


@dataclass(kw_only=True)
class FolderListing:
    """What a walk has found."""

    people: dict[str, FoundPerson] = field(default_factory=dict[str, FoundPerson])
    """Identity -> person."""
    unreadable: dict[str, str] = field(default_factory=dict[str, str])
    """Address of a folder, file or link that cannot be looked at -> what the system says."""
    num_loose_files: int = 0
    """Files directly in the root, which belong to nobody."""

    @property
    def num_files(self) -> int:
        """Files of all people."""
        return sum(len(person.files) for person in self.people.values())

    def hides(self, page_url: str) -> bool:
        """True if this walk could not see whether there is a file at the address."""
        places = (page_url, *map(str, PurePosixPath(page_url).parents))
        return any(place in self.unreadable for place in places)


def walk(root: Path) -> FolderListing:
    """The people and files below a folder, without hidden ones. Links are followed, and circles are noticed.

    Raises:
        SourceUnreachable: the root itself cannot be read.
    """
    listing = FolderListing()
    try:
        entries = _entries(os.fsencode(root))
        entered = _number(os.fsencode(root))
    except OSError as error:
        raise SourceUnreachable(
            f"the folder {root} cannot be read ({error.strerror}); nothing is changed"
        ) from error
    for entry in entries:
        try:
            if not stat.S_ISDIR(entry.stat().st_mode):
                listing.num_loose_files += 1
                continue
        except OSError as error:
            listing.unreadable[quote(entry.name)] = str(error.strerror)
            continue
        _take_folder(listing, entry, entered)
    for person in listing.people.values():
        person.files.sort(key=lambda file: file.page_url)
    return listing


def path_of(root: Path, page_url: str) -> Path:
    """The file with an address of this module. Raises ValueError if it lies outside of the root."""
    place = os.fsdecode(unquote_to_bytes(page_url))
    if place.startswith("/") or ".." in place.split("/"):
        raise ValueError(f"{page_url!r} lies outside of {root}")
    return root / place


def _take_folder(listing: FolderListing, entry: os.DirEntry[bytes], root: tuple[int, int]) -> None:
    """Add a folder of the root to its person."""
    place, folder = quote(entry.name), os.fsdecode(entry.name)
    identity = identity_of_path(folder)
    name = display_name(folder.replace("_", " "))
    new = FoundPerson(identity=identity, name=name, page_url=f"{place}/")
    person = listing.people.setdefault(identity, new)
    person.files += _files_below(entry.path, place, {root}, listing.unreadable)


def _files_below(
    folder: bytes, place: str, entered: set[tuple[int, int]], unreadable: dict[str, str]
) -> Iterator[FoundFile]:
    """The files of a folder and of the folders below it.

    Args:
        folder: where it is.
        place: its address.
        entered: folders that are not entered again, because a link leads there or back; grows.
        unreadable: takes what cannot be looked at.
    """
    waiting = [(folder, place)]
    while waiting:
        folder, place = waiting.pop()
        try:
            number = _number(folder)
            if number in entered:
                continue
            entered.add(number)
            entries = _entries(folder)
        except OSError as error:
            unreadable[place] = str(error.strerror)
            continue
        folders: list[tuple[bytes, str]] = []
        for entry in entries:
            its_place = f"{place}/{quote(entry.name)}"
            try:
                facts = entry.stat()
            except OSError as error:
                unreadable[its_place] = str(error.strerror)
                continue
            if stat.S_ISDIR(facts.st_mode):
                folders.append((entry.path, its_place))
            elif stat.S_ISREG(facts.st_mode):
                yield FoundFile(page_url=its_place, size_bytes=facts.st_size, mtime_ns=facts.st_mtime_ns)
        waiting += reversed(folders)


def _entries(folder: bytes) -> list[os.DirEntry[bytes]]:
    """What is in a folder, by name, without what is hidden."""
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(b".")), key=lambda e: e.name)


def _number(folder: bytes) -> tuple[int, int]:
    """What identifies a folder, whatever links lead to it."""
    facts = os.stat(folder)  # noqa: PTH116 - names may be no text
    return facts.st_dev, facts.st_ino
