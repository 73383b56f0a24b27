"""Keeps the pages that no parser understands, for adapting the parser."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from bolid_pipeline.errors import LayoutChanged
from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.location import Location
from bolid_pipeline.storage.tables import TableStore


@contextmanager
def keep_changed_pages(tables: TableStore) -> Iterator[None]:
    """Save the page of a LayoutChanged that the block raises, and add the copy's path to the message."""
    try:
        yield
    except LayoutChanged as error:
        if error.page_url is None or error.html is None:
            raise
        name = hashlib.sha256(error.page_url.encode()).hexdigest()[:16]
        path = _folder(tables) / f"{name}.html"
        write_atomically(path, error.html)
        raise LayoutChanged(f"{error}; a copy of the page is at {path}") from error


def drop_changed_pages(tables: TableStore) -> None:
    """Delete all kept pages."""
    for page in _folder(tables).glob("*.html"):
        page.unlink()


def _folder(tables: TableStore) -> Location:
    return tables.root.parent / "changed_pages"
