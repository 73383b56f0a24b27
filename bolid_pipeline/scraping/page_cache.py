"""Conditional requests (RFC 9110): catalogue pages are kept, and the next crawl asks only whether they have changed."""

import zlib
from dataclasses import dataclass
from typing import Any

from bolid_pipeline.storage.tables import TableStore

_PAGES_PER_COMMIT = 64


@dataclass(frozen=True)
class Validators:
    """The server's names for one version of a page; sent back, they spare the body of an unchanged page."""

    etag: str | None = None
    last_modified: str | None = None

    @property
    def request_headers(self) -> dict[str, str]:
        """The condition "only if it has changed since"."""
        conditions = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in conditions.items() if value}


@dataclass(frozen=True)
class Page:
    """A fetched page: its bytes (None where it has not changed), its version, its address after redirects."""

    body: bytes | None
    validators: Validators
    url: str


class PageCache:
    """The table `catalogue_pages`. Pages stay compressed until they are asked for.

    Only a page that came with an ETag or a Last-Modified is kept: a conditional request needs one of them.
    """

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables
        self._rows: dict[str, dict[str, Any]] = {
            row["page_url"]: row for row in tables.read("catalogue_pages").to_pylist()
        }
        self._new: list[dict[str, Any]] = []

    def validators(self, page_url: str) -> Validators | None:
        """The validators for a conditional request of the page; None for an unknown page."""
        row = self._rows.get(page_url)
        return Validators(etag=row["etag"], last_modified=row["last_modified"]) if row else None

    def html(self, page_url: str) -> bytes:
        """The stored HTML of a page that has not changed."""
        return zlib.decompress(self._rows[page_url]["html"])

    def keep(self, page_url: str, page: Page) -> None:
        """Keep a page that was just fetched."""
        seen = page.validators
        if page.body is None or not (seen.etag or seen.last_modified):
            return
        row = {"etag": seen.etag, "last_modified": seen.last_modified, "html": zlib.compress(page.body)}
        self._rows[page_url] = {"page_url": page_url, **row}
        self._new.append(self._rows[page_url])
        if len(self._new) >= _PAGES_PER_COMMIT:
            self.commit()

    def commit(self) -> None:
        """Write the new pages to the table."""
        self._tables.append("catalogue_pages", self._new)
        self._new = []
