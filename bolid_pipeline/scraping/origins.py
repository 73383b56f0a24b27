"""Several sources in one data folder: who came from where.

Every person of `identity_catalogue` has the label of a source. People of other sources than the one that was crawled
last are set aside with the status `other_source`: their photos stay, and the curation says why they are not kept.
The demo's drawn people share a data folder with nobody, because a model would learn both as if they were alike.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.records import OTHER_SOURCE
from bolid_pipeline.scraping.config import BODYWORLD_URL
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


def is_folder(source: str) -> bool:
    """True if a label is that of a folder of one's own photos."""
    return source.startswith("file:")


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


def people_of_others(tables: TableStore, source: str) -> dict[str, list[str]]:
    """Label -> the people that came from it, for all sources but the one with the label `source`."""
    people: defaultdict[str, list[str]] = defaultdict(list)
    for row in tables.read("identity_catalogue", ["identity", "page_url", "source"]).to_pylist():
        if not is_of(row, source):
            people[source_of(row)].append(row["identity"])
    return dict(people)


def people_to_prune(tables: TableStore, source: str) -> dict[str, list[str]]:
    """As `people_of_others`.

    Raises:
        ConfigurationError: they may be the source's own, because it may be a folder that was moved.
    """
    others = people_of_others(tables, source)
    rows = tables.read("identity_catalogue", ["page_url", "source"]).to_pylist()
    is_known = any(is_of(row, source) for row in rows)
    if is_folder(source) and not is_known and any(map(is_folder, others)):
        raise ConfigurationError(
            f"{source} was not read yet: run `bolid crawl` first, which finds out whether it is a known folder that "
            "was moved"
        )
    return others


def refuse_to_mix_drawn_people(tables: TableStore, source: str) -> None:
    """Raise ConfigurationError if a crawl of `source` put the demo's drawn people and others into one data folder."""
    others = people_of_others(tables, source)
    if source != BODYWORLD_URL and BODYWORLD_URL not in others:
        return
    for label in sorted(others):
        if BODYWORLD_URL in (label, source):
            raise ConfigurationError(
                f"{tables.root.parent} holds {len(others[label])} people of {_in_words(label)}, and is not to be mixed "
                f"with those of {_in_words(source)}: set another BOLID_DATA_DIR, or delete the former by `bolid prune`"
            )


def _in_words(label: str) -> str:
    return "the demo, who are drawn" if label == BODYWORLD_URL else label


def people_set_aside(tables: TableStore) -> set[str]:
    """The people of other sources than the one that was crawled last."""
    rows = tables.read("identity_catalogue", ["identity", "status"]).to_pylist()
    return {row["identity"] for row in rows if row["status"] == OTHER_SOURCE}
