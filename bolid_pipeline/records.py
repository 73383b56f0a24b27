"""What several stages share: what a photo source says of people and their photos, and one reason to refuse a photo."""

from collections.abc import Mapping
from dataclasses import dataclass, field

OF_ANOTHER_IDENTITY = "photo_of_another_identity"
"""Reason of the crawl and of the curation: the same picture stands under two people, so that one label is wrong."""


@dataclass(frozen=True, kw_only=True)
class IdentityRecord:
    """A person as a catalogue lists it; some galleries turn out to show something else."""

    identity: str
    """Key in every table: the gallery's slug, or the folder's name."""
    name: str
    """For people to read."""
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
    """What a download is remembered by."""
