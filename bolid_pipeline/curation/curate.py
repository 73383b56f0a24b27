"""From scores and detections to a verdict per photo: all filters first, then a count of each person's photos."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bolid_pipeline.curation.config import CurationConfig
from bolid_pipeline.curation.filters import FILTERS, PhotoFacts, reasons_against
from bolid_pipeline.errors import NotEnoughData
from bolid_pipeline.storage.rows import is_one_of
from bolid_pipeline.storage.schemas import SCHEMAS

TOO_FEW_PHOTOS = "too_few_photos"
"""The one reason that does not depend on the photo itself: its person has too few photos left."""

REASONS = (*FILTERS, TOO_FEW_PHOTOS)
"""Every reason a photo is rejected for, in the order in which a photo's reasons are listed."""


def curate(
    photos: pa.Table,
    scores: pa.Table,
    detections: pa.Table,
    config: CurationConfig,
    clusters: pa.Table | None = None,
    other_people: Collection[str] = (),
) -> pa.Table:
    """The verdict about every photo.

    Args:
        photos: rows of `raw_photos`.
        scores: rows of `watermark_scores`, one for every photo.
        detections: rows of `face_detections`, one for every photo.
        config: the limits that a photo and a person must meet.
        clusters: rows of `photo_clusters`, which say which pictures several people's galleries show.
        other_people: the people of other sources than the one that was crawled last.

    Returns:
        Rows of `curated_photos`, in the order of `photos`: all reasons that apply, none for a kept photo.

    Raises:
        NotEnoughData: a photo has no score or no detection yet.
    """
    shared = (
        set(clusters.filter(pc.field("is_shared"))["photo_id"].to_pylist())
        if clusters is not None
        else set[str]()
    )
    verdicts = [
        {
            "photo_id": row["photo_id"],
            "identity": row["identity"],
            "reasons": reasons_against(_facts(row, shared, other_people), config),
        }
        for row in _joined(photos, scores, detections)
    ]
    _drop_small_galleries(verdicts, config.min_photos_per_identity)
    rows = [{**verdict, "is_kept": not verdict["reasons"]} for verdict in verdicts]
    return pa.Table.from_pylist(rows, SCHEMAS["curated_photos"].columns)


def kept_photos(photos: pa.Table, curated: pa.Table) -> pa.Table:
    """The rows of `raw_photos` whose photo is kept, in the order of `photos`."""
    kept = curated.filter(pc.field("is_kept"))["photo_id"]
    return photos.filter(is_one_of(photos["photo_id"], kept.to_pylist()))


def count_reasons(curated: pa.Table) -> dict[str, int]:
    """Number of photos that each of REASONS applies to; a photo with several reasons counts for each."""
    counts = Counter(reason for reasons in curated["reasons"].to_pylist() for reason in reasons)
    return {reason: counts[reason] for reason in REASONS}


def _facts(row: dict[str, Any], shared: Collection[str], other_people: Collection[str]) -> PhotoFacts:
    return PhotoFacts(
        width_px=row["width_px"],
        height_px=row["height_px"],
        watermark_prob=row["watermark_prob"],
        num_faces=row["num_faces"],
        num_persons=row["num_persons"],
        is_shared=row["photo_id"] in shared,
        is_of_other_source=row["identity"] in other_people,
    )


def _joined(photos: pa.Table, scores: pa.Table, detections: pa.Table) -> list[dict[str, Any]]:
    """One dict per photo with what the three tables say about it."""
    scores_of = _by_photo(scores, ["watermark_prob"])
    detections_of = _by_photo(detections, ["num_faces", "num_persons"])
    rows = photos.select(["photo_id", "identity", "width_px", "height_px"]).to_pylist()
    missing = [
        row["photo_id"]
        for row in rows
        if not (row["photo_id"] in scores_of and row["photo_id"] in detections_of)
    ]
    if missing:
        raise NotEnoughData(
            f"{len(missing)} photos (the first is {missing[0]}) have no watermark score or no face detection: "
            "materialise `watermark_scores` and `face_detections`"
        )
    return [row | scores_of[row["photo_id"]] | detections_of[row["photo_id"]] for row in rows]


def _by_photo(rows: pa.Table, columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {row.pop("photo_id"): row for row in rows.select(["photo_id", *columns]).to_pylist()}


def _drop_small_galleries(verdicts: list[dict[str, Any]], min_photos: int) -> None:
    """Reject the remaining photos of everyone with fewer than `min_photos` left."""
    num_left = Counter(verdict["identity"] for verdict in verdicts if not verdict["reasons"])
    for verdict in verdicts:
        if not verdict["reasons"] and num_left[verdict["identity"]] < min_photos:
            verdict["reasons"] = [TOO_FEW_PHOTOS]
