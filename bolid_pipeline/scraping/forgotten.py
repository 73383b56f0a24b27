"""The people who must never be crawled again: one identity per line in `<data_dir>/forgotten.txt`."""

from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.location import Location, locate


def forgotten_identities(data_dir: str | Location) -> frozenset[str]:
    """Everyone who was forgotten so far."""
    path = _list_of(data_dir)
    return frozenset(path.read_text("utf-8").splitlines()) if path.exists() else frozenset()


def remember_to_forget(data_dir: str | Location, identity: str) -> None:
    """Add a person to the list."""
    lines = sorted({*forgotten_identities(data_dir), identity})
    write_atomically(_list_of(data_dir), "".join(f"{line}\n" for line in lines).encode())


def _list_of(data_dir: str | Location) -> Location:
    return locate(data_dir) / "forgotten.txt"
