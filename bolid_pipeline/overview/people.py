"""Each person's photos and refused files, read from the tables one person at a time."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bolid_pipeline.storage.tables import TableStore

Row = dict[str, Any]

KEPT = "kept"
NOT_JUDGED = "not_judged"
"""Photos that are stored and have no verdict yet."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """What the data set holds of one person."""

    identity: str
    name: str
    status: str
    """Status of `identity_catalogue`."""
    photos: dict[str, list[Row]]
    """KEPT, NOT_JUDGED or the first reason against them -> photos: path, page_url and the facts of the verdict."""
    refused: dict[str, list[Row]]
    """Reason -> files that are not stored: page_url, and the page_url of the stored photo of the same content."""

    @property
    def num_kept(self) -> int:
        """Photos that the training uses."""
        return len(self.photos.get(KEPT, ()))

    @property
    def num_rejected(self) -> int:
        """Stored photos that the curation has rejected."""
        return sum(len(rows) for reason, rows in self.photos.items() if reason not in (KEPT, NOT_JUDGED))

    @property
    def num_refused(self) -> int:
        """Files that were not taken."""
        return sum(map(len, self.refused.values()))


class DataSet:
    """The tables' rows about photos and refused files, sorted by person."""

    def __init__(self, tables: TableStore) -> None:
        photos = tables.read(
            "raw_photos", ["photo_id", "identity", "page_url", "path", "width_px", "height_px"]
        )
        for table, columns in _FACTS.items():
            facts = tables.read(table, ["photo_id", *columns])
            rows = facts.take(pc.index_in(photos["photo_id"], facts["photo_id"].combine_chunks()))
            for column in columns:
                photos = photos.append_column(column, rows[column])
        refused = tables.read("rejected_downloads", ["page_url", "identity", "reason", "photo_id"])
        stored = pc.index_in(refused["photo_id"], photos["photo_id"].combine_chunks())
        refused = refused.append_column("same_as", photos["page_url"].take(stored))
        self._photos = photos.sort_by([("identity", "ascending"), ("page_url", "ascending")])
        self._refused = refused.sort_by([("identity", "ascending"), ("page_url", "ascending")])
        self._people = tables.read("identity_catalogue", ["identity", "name", "status"])

    def digest(self, *also: str) -> str:
        """A sha256 that changes whenever a row does, or one of the texts."""
        digest = hashlib.sha256(repr(also).encode())
        for rows in (self._photos, self._refused, self._people.sort_by("identity")):
            for column in rows.columns:
                digest.update(repr(column.to_pylist()).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    @property
    def num_people(self) -> int:
        """People whom the source lists, or who have photos."""
        return len(self._identities())

    def count_reasons(self) -> tuple[Counter[str], Counter[str]]:
        """How many photos each state or first reason has, and how many files each refusal."""
        photos = Counter(map(_state, self._photos.select(["is_kept", "reasons"]).to_pylist()))
        return photos, Counter(self._refused["reason"].to_pylist())

    def people(self) -> Iterator[Person]:
        """One person after the other, by name."""
        known = {row["identity"]: row for row in self._people.to_pylist()}
        photos, refused = _by_person(self._photos), _by_person(self._refused)
        for identity in self._identities():
            catalogued = known.get(identity, {"name": identity, "status": "vanished"})
            yield Person(
                identity=identity,
                name=catalogued["name"],
                status=catalogued["status"],
                photos=_grouped(photos.get(identity), _state),
                refused=_grouped(refused.get(identity), lambda row: row["reason"]),
            )

    def _identities(self) -> list[str]:
        tables = (self._photos, self._refused, self._people)
        return sorted({identity for rows in tables for identity in pc.unique(rows["identity"]).to_pylist()})


_FACTS = {
    "curated_photos": ["is_kept", "reasons"],
    "watermark_scores": ["watermark_prob"],
    "face_detections": ["num_faces", "num_persons"],
}


def _by_person(rows: pa.Table) -> dict[str, pa.Table]:
    """Slices of a table that is sorted by person; they copy nothing."""
    runs = pc.run_end_encode(rows["identity"].combine_chunks()) if rows.num_rows else None
    if runs is None:
        return {}
    ends = runs.run_ends.to_pylist()
    starts = [0, *ends[:-1]]
    return {
        identity: rows.slice(start, end - start)
        for identity, start, end in zip(runs.values.to_pylist(), starts, ends, strict=True)
    }


def _grouped(rows: pa.Table | None, key: Callable[[Row], str]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows.to_pylist() if rows is not None else ():
        groups.setdefault(key(row), []).append(row)
    return groups


def _state(row: Row) -> str:
    if row["is_kept"] is None:
        return NOT_JUDGED
    return KEPT if row["is_kept"] else row["reasons"][0]
