"""The people that a crawl takes, their order, and the photos of them that are left to fetch."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bolid_pipeline.names import did_you_mean, same_name
from bolid_pipeline.scraping.config import CrawlBounds
from bolid_pipeline.scraping.forgotten import forgotten_identities
from bolid_pipeline.scraping.origins import is_folder, is_of
from bolid_pipeline.scraping.outcomes import RETRIED_REASONS
from bolid_pipeline.storage.tables import TableStore


class Selection:
    """The people whom the bounds admit, in any spelling of their names; a forgotten person is never among them."""

    def __init__(self, bounds: CrawlBounds, tables: TableStore) -> None:
        self._bounds = bounds
        excluded = bounds.excluded_identities | forgotten_identities(tables.root.parent)
        self._excluded = frozenset(map(same_name, excluded))
        self._included = bounds.included_identities and frozenset(map(same_name, bounds.included_identities))

    def admits(self, identity: str) -> bool:
        """True if the bounds admit this person."""
        name = same_name(identity)
        return name not in self._excluded and (self._included is None or name in self._included)

    def in_order(self, identities: Iterable[str]) -> list[str]:
        """The admitted people, by name or shuffled; new people leave the order of the others as it is."""
        return sorted(filter(self.admits, identities), key=self._position)

    def explain_absences(self, listed: Collection[str]) -> list[str]:
        """A sentence for each person who is to be crawled by name and cannot be.

        Args:
            listed: everyone whom the source lists.
        """
        included = self._bounds.included_identities
        names = {same_name(identity) for identity in listed} if included else set[str]()
        sentences: list[str] = []
        for wanted in sorted(included or ()):
            if same_name(wanted) in self._excluded:
                sentences.append(
                    f"{wanted} is to be crawled, but is forgotten, blocked or excluded, which counts more"
                )
            elif same_name(wanted) not in names:
                hint = did_you_mean(wanted, listed)
                more = f"; {hint}" if hint else ""
                sentences.append(f"{wanted} is to be crawled, but the source has nobody of that name{more}")
        return sentences

    def _position(self, identity: str) -> str:
        if self._bounds.order == "alphabetical":
            return identity
        return hashlib.sha256(f"{self._bounds.seed}/{identity}".encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class PersonPlan:
    """The photo pages of one person that are left to fetch."""

    identity: str
    num_listed: int
    """Photo pages that the gallery lists."""
    num_stored: int
    num_refused: int
    """Photo pages that are refused for good."""
    page_urls: tuple[str, ...]
    """The pages that were never tried, in the gallery's order."""
    failed_page_urls: tuple[str, ...]
    """The pages that failed before and may be tried again, the longest ago first."""
    num_wanted: int
    """Number of them that may become photos."""


@dataclass(frozen=True, kw_only=True)
class CrawlPlan:
    """The photo pages that are left to fetch, person by person in the order of the crawl."""

    source: str
    """Label of the source."""
    people: tuple[PersonPlan, ...]

    @property
    def num_photos(self) -> int:
        """Photos to fetch."""
        return sum(person.num_wanted for person in self.people)

    @property
    def estimated_requests(self) -> int:
        """Requests for each photo's page and file, more where an original is missing or a try fails; 0 for a folder."""
        return 0 if is_folder(self.source) else 2 * self.num_photos

    def __str__(self) -> str:
        """One line per person, and the sum."""
        lines = [
            f"{person.identity}: {person.num_listed} listed, {person.num_stored} stored, {person.num_refused} refused, "
            f"{person.num_wanted} to fetch"
            for person in self.people
        ]
        requests = f", about {self.estimated_requests} requests" if self.estimated_requests else ""
        return "\n".join([*lines, f"{len(self.people)} people, {self.num_photos} photos to fetch{requests}"])


def plan_photos(tables: TableStore, bounds: CrawlBounds, source: str) -> CrawlPlan:
    """The photos that a crawl of the source with this label would fetch, planned from the tables alone."""
    catalogue = [row for row in tables.read("identity_catalogue").to_pylist() if is_of(row, source)]
    listed = {row["identity"] for row in catalogue if row["status"] == "listed" and _is_enough(row, bounds)}
    chosen = Selection(bounds, tables).in_order(listed)[: bounds.max_identities]
    done = settled_pages(tables)
    stored = tables.read("raw_photos", ["identity", "page_url"]).to_pylist()
    refused = tables.read("rejected_downloads", ["identity", "page_url", "reason", "checked_at"]).to_pylist()
    failed_at = {row["page_url"]: row["checked_at"] for row in refused if row["reason"] in RETRIED_REASONS}
    stored, refused = ([row for row in rows if row["page_url"] in done] for rows in (stored, refused))
    num_stored, num_refused = (Counter(row["identity"] for row in rows) for rows in (stored, refused))
    pages = read_photo_pages(tables)
    people: list[PersonPlan] = []
    for identity in chosen:
        left = [url for url in pages[identity] if url not in done]
        limit = bounds.max_photos_per_identity
        num_open = len(left) if limit is None else max(0, limit - num_stored[identity])
        people.append(
            PersonPlan(
                identity=identity,
                num_listed=len(pages[identity]),
                num_stored=num_stored[identity],
                num_refused=num_refused[identity],
                page_urls=tuple(url for url in left if url not in failed_at),
                failed_page_urls=tuple(
                    sorted(failed_at.keys() & set(left), key=lambda url: (failed_at[url], url))
                ),
                num_wanted=min(len(left), num_open),
            )
        )
    return CrawlPlan(source=source, people=tuple(people))


def settled_pages(tables: TableStore) -> set[str]:
    """The photo pages that are stored or refused for good, and so not asked for again: all but files that changed."""
    stored = tables.read("raw_photos", ["page_url"])["page_url"].to_pylist()
    refused = tables.read("rejected_downloads", ["page_url", "reason"]).to_pylist()
    settled = {*stored, *(row["page_url"] for row in refused if row["reason"] not in RETRIED_REASONS)}
    files = tables.read("folder_files", ["page_url", "is_read"]).to_pylist()
    return settled - {file["page_url"] for file in files if not file["is_read"]}


def read_photo_pages(tables: TableStore) -> defaultdict[str, list[str]]:
    """Person -> the photo pages that the gallery lists now, in its order."""
    pages: defaultdict[str, list[str]] = defaultdict(list)
    rows = tables.read("photo_pages", ["identity", "page_url", "position", "vanished_at"]).to_pylist()
    for row in sorted(rows, key=lambda row: row["position"]):
        if row["vanished_at"] is None:
            pages[row["identity"]].append(row["page_url"])
    return pages


def _is_enough(row: Mapping[str, Any], bounds: CrawlBounds) -> bool:
    return (row["listed_photos"] or 0) >= bounds.min_photos
