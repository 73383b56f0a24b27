"""The small types that cross stages: people and photos as a source lists them, and what a check found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class IdentityRecord:
    """A person (or what the source takes for one) as a catalogue lists it.

    `identity` is the key in every table: the gallery's slug, or the folder's name. `name` is for people to
    read.
    """

    identity: str
    name: str
    page_url: str


@dataclass(frozen=True, kw_only=True)
class GalleryPage:
    """One page of a person's gallery.

    `stated_photos` is the number of photos the site claims for the whole gallery, None where it claims none;
    `photo_page_urls` are this page's photos in the grid's order, without repeats; `linked_pages` the gallery's
    pages that this one links to, number (from 1) -> address, often only a window of them; `is_person` is False
    for galleries of films, bands and themes.
    """

    name: str
    stated_photos: int | None
    photo_page_urls: tuple[str, ...]
    linked_pages: Mapping[int, str] = field(default_factory=dict[int, str])
    is_person: bool = True


@dataclass(frozen=True, kw_only=True)
class PhotoPage:
    """The page of one photo: `page_url` is what a download is remembered by."""

    identity: str
    page_url: str


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """What a check of the data found."""

    problem: str | None = None
    """What is wrong and what to do about it; None if nothing is."""
    numbers: Mapping[str, int | float] = field(default_factory=dict[str, int | float])
    """Counts and extremes, by stable names."""
    examples: Sequence[str] = ()
    """Some of the photos or people that are wrong."""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem is None
