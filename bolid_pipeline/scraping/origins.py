"""Several sources in one data folder: who came from where.

Every person of `identity_catalogue` has the label of a source. People of other sources than the one that was crawled
last are set aside with the status `other_source`: their photos stay, and the curation says why they are not kept.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from bolid_pipeline.records import OTHER_SOURCE
from bolid_pipeline.storage.tables import TableStore

_Row = Mapping[str, Any]


def source_of(row: _Row) -> str:
    """The label of the source that a row of `identity_catalogue` came from; older rows tell it by their address."""
    if row["source"]:
        return row["source"]
    address = urlsplit(row["page_url"])
    if address.scheme == "file":
        return row["page_url"].rstrip("/").rpartition("/")[0]
    return f"{address.scheme}://{address.netloc}"


def is_of(row: _Row, source: str) -> bool:
    """True if a row of `identity_catalogue` came from the source with this label."""
    return row["source"] == source if row["source"] else row["page_url"].startswith(source)


def set_aside(rows: Iterable[_Row]) -> list[dict[str, Any]]:
    """The rows of other sources' people as they must be written; none for those who are set aside already."""
    return [
        {**row, "status": OTHER_SOURCE, "source": source_of(row)}
        for row in rows
        if row["status"] != OTHER_SOURCE
    ]


def name_taken(row: _Row) -> str:
    """What to tell about somebody whose name is taken by the person of this row, with whose photos theirs would mix."""
    return (
        f"{row['identity']} is left out: the data folder holds a person of that name from {source_of(row)}; rename one "
        "of them, or delete the other sources' people by `bolid prune`"
    )


def people_set_aside(tables: TableStore) -> set[str]:
    """The people of other sources than the one that was crawled last."""
    rows = tables.read("identity_catalogue", ["identity", "status"]).to_pylist()
    return {row["identity"] for row in rows if row["status"] == OTHER_SOURCE}
