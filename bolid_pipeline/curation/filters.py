"""Reasons to reject a photo: one named predicate per reason, about a single photo."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bolid_pipeline.curation.config import CurationConfig
from bolid_pipeline.records import OF_ANOTHER_IDENTITY, OTHER_SOURCE


@dataclass(frozen=True, kw_only=True)
class PhotoFacts:
    """Facts about a photo; None where its bytes could not be read."""

    width_px: int
    height_px: int
    watermark_prob: float | None
    num_faces: int | None
    num_persons: int | None
    is_shared: bool = False
    """True if another person's gallery shows the same picture."""
    is_of_other_source: bool = False
    """True if the person came from another source than the one crawled last."""


Predicate = Callable[[PhotoFacts, CurationConfig], bool]

# Reason -> its predicate, in the order in which a photo's reasons are listed. Where a fact is unknown, only
# `unreadable` applies.
FILTERS: Mapping[str, Predicate] = {
    OTHER_SOURCE: lambda photo, config: photo.is_of_other_source and not config.use_other_sources,
    "unreadable": lambda photo, _: None in (photo.watermark_prob, photo.num_faces, photo.num_persons),
    "too_small": lambda photo, config: min(photo.width_px, photo.height_px) < config.min_side_px,
    OF_ANOTHER_IDENTITY: lambda photo, _: photo.is_shared,
    # A generator would learn to draw the watermark.
    "watermarked": lambda photo, config: (
        photo.watermark_prob is not None and photo.watermark_prob > config.max_watermark_prob
    ),
    # Persons are found by their bodies: a face alone gives no body to learn from.
    "no_person": lambda photo, _: photo.num_persons == 0,
    "several_persons": lambda photo, _: photo.num_persons is not None and photo.num_persons > 1,
    # Without any face a photo is fine: people turn round.
    "several_faces": lambda photo, _: photo.num_faces is not None and photo.num_faces > 1,
}


def reasons_against(photo: PhotoFacts, config: CurationConfig) -> list[str]:
    """Every reason that applies to the photo; none for a good one."""
    return [reason for reason, applies in FILTERS.items() if applies(photo, config)]
