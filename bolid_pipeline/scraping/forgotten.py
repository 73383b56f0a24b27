"""The people who must never be crawled again: one identity per line in `<data_dir>/forgotten.txt`, a file to edit."""

from bolid_pipeline.names import as_identity
from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.location import Location, locate


def forgotten_identities(data_dir: str | Location) -> frozenset[str]:
    """Everyone who was forgotten or blocked so far."""
    path = list_of_forgotten(data_dir)
    if not path.exists():
        return frozenset()
    lines = path.read_bytes().decode("utf-8-sig", errors="surrogateescape").splitlines()
    return frozenset(as_identity(line) for line in lines if line.strip())


def remember_to_forget(data_dir: str | Location, *identities: str) -> None:
    """Add people to the list."""
    lines = sorted({*forgotten_identities(data_dir), *map(as_identity, identities)})
    write_atomically(list_of_forgotten(data_dir), "".join(f"{line}\n" for line in lines).encode())


def list_of_forgotten(data_dir: str | Location) -> Location:
    """The file that holds the list; it may be missing."""
    return locate(data_dir) / "forgotten.txt"
