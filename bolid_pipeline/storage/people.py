"""Deleting people: their rows in every table, and their photos' files."""

from collections.abc import Collection
from dataclasses import dataclass

from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.tables import TableStore


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Counts of what was deleted."""

    num_photos: int
    num_rows: int


def delete_people(tables: TableStore, photos: PhotoStore, identities: Collection[str]) -> Removal:
    """Delete everything about these people.

    Safe to call again after a crash: the photos' own rows go last, and after them the people's.
    """
    wanted = set(identities)
    rows = tables.read("raw_photos", ["photo_id", "identity", "path"]).to_pylist()
    theirs = [row for row in rows if row["identity"] in wanted]
    photo_ids = [row["photo_id"] for row in theirs]
    num_rows = sum(
        tables.delete(table, "photo_id", photo_ids) for table in _with_column("photo_id") if photo_ids
    )
    num_rows += sum(tables.delete(table, "identity", wanted) for table in _with_column("identity"))
    for row in theirs:
        photos.delete(row["path"])
    num_rows += sum(tables.delete(table, "identity", wanted) for table in _LAST)
    return Removal(num_photos=len(theirs), num_rows=num_rows)


_LAST = ("raw_photos", "identity_catalogue")
"""What says which photos and people there are, so that a deletion that was cut short can go on."""


def _with_column(column: str) -> list[str]:
    """The tables with this column, without the last ones."""
    return [name for name, schema in SCHEMAS.items() if column in schema.columns.names and name not in _LAST]
