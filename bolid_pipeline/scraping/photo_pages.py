"""Reading back what the galleries' grids list."""

from collections import defaultdict

from bolid_pipeline.storage.tables import TableStore


def read_photo_pages(tables: TableStore) -> defaultdict[str, list[str]]:
    """The noted photo pages of each person, in the gallery's order."""
    pages: defaultdict[str, list[str]] = defaultdict(list)
    rows = tables.read("photo_pages", ["identity", "page_url", "position"]).to_pylist()
    for row in sorted(rows, key=lambda row: row["position"]):
        pages[row["identity"]].append(row["page_url"])
    return pages
