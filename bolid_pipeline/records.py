"""The small types that cross stages: people and photos as a source lists them, and results of checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

OF_ANOTHER_IDENTITY = "photo_of_another_identity"
"""Reason of the crawl and of the curation: two people's galleries show the same picture, so that one label is wrong."""

OTHER_SOURCE = "other_source"
"""Status of people who came from another source than the one crawled last, and the curation's reason against them."""

MAX_COUNT = 2**31 - 1
"""The largest number that a table's counts hold; a page that states more photos states nonsense."""


@dataclass(frozen=True, kw_only=True)
class IdentityRecord:
    """A person as a catalogue lists it; some galleries turn out to show something else."""

    identity: str
    """Key in every table: the gallery's slug, or the folder's name."""
    name: str
    """Name for people to read."""
    page_url: str


@dataclass(frozen=True, kw_only=True)
class GalleryPage:
    """One page of a person's gallery."""

    name: str
    stated_photos: int | None
    """Photos that the site states for the whole gallery; None if it states no number."""
    photo_page_urls: tuple[str, ...]
    """This page's photos in the grid's order, without repeats."""
    linked_pages: Mapping[int, str] = field(default_factory=dict[int, str])
    """Pages of the gallery that this one links to, number (from 1) -> address; often a window of them."""
    is_person: bool = True
    """False for galleries of films, bands and themes."""


@dataclass(frozen=True, kw_only=True)
class PhotoPage:
    """The page of one photo."""

    identity: str
    page_url: str
    """The key under which a download is remembered."""


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """The result of a check of the data."""

    problem: str | None = None
    """The fault and the way out; None if all is well."""
    numbers: Mapping[str, int | float] = field(default_factory=dict[str, int | float])
    """Counts and extremes, by stable names."""
    examples: Sequence[str] = ()
    """Some of the photos or people at fault."""

    @property
    def passed(self) -> bool:
        """True if all is well."""
        return self.problem is None
