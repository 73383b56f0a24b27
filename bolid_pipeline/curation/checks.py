"""Checks of the photos that the curation keeps, and of the tables with a row per photo."""

from collections import Counter
from collections.abc import Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from bolid_pipeline.curation.curate import count_reasons
from bolid_pipeline.records import OTHER_SOURCE, CheckOutcome

NUM_EXAMPLES = 20


def no_kept_photo_is_too_small(kept: pa.Table, min_side_px: int) -> CheckOutcome:
    """Check that both sides of every kept photo (rows of `raw_photos`) have at least `min_side_px` pixels."""
    rows = kept.select(["photo_id", "width_px", "height_px"]).to_pylist()
    side_px = {row["photo_id"]: min(row["width_px"], row["height_px"]) for row in rows}
    small = sorted(photo_id for photo_id, side in side_px.items() if side < min_side_px)
    return CheckOutcome(
        problem=f"{len(small)} kept photos have a side below {min_side_px} px: materialise `curated_photos`"
        if small
        else None,
        numbers={
            "smallest_side_px": min(side_px.values(), default=0),
            "min_side_px": min_side_px,
            "num_too_small": len(small),
        },
        examples=small[:NUM_EXAMPLES],
    )


def every_kept_photo_shows_one_person(kept: pa.Table, detections: pa.Table) -> CheckOutcome:
    """Check that every kept photo shows one person and at most one face.

    Args:
        kept: rows of `raw_photos`.
        detections: rows of `face_detections`.
    """
    alone = detections.filter((pc.field("num_persons") == 1) & (pc.field("num_faces") <= 1))
    kept_ids = kept["photo_id"].to_pylist()
    others = sorted(set(kept_ids) - set(alone["photo_id"].to_pylist()))
    return CheckOutcome(
        problem=f"{len(others)} kept photos do not show exactly one person: materialise `face_detections` and then "
        "`curated_photos`"
        if others
        else None,
        numbers={"num_kept": len(kept_ids), "num_not_one_person": len(others)},
        examples=others[:NUM_EXAMPLES],
    )


def every_kept_identity_has_enough_photos(
    kept: pa.Table, verdicts: pa.Table, min_photos: int, refused: Collection[str] = ()
) -> CheckOutcome:
    """Check that at least one person is kept, and that everyone kept has at least `min_photos` photos.

    Args:
        kept: rows of `raw_photos`.
        verdicts: rows of `curated_photos`.
        min_photos: the curation's `min_photos_per_identity`.
        refused: the reason of each photo that the crawl has refused.
    """
    counts = Counter(kept["identity"].to_pylist())
    few = sorted(identity for identity, count in counts.items() if count < min_photos)
    problem = None
    if not counts:
        problem = _why_nobody_is_kept(verdicts, min_photos, refused)
    elif few:
        problem = (
            f"{len(few)} kept people have fewer than {min_photos} photos: materialise `curated_photos` again"
        )
    return CheckOutcome(
        problem=problem,
        numbers={
            "num_identities": len(counts),
            "fewest_photos": min(counts.values(), default=0),
            "num_with_too_few": len(few),
        },
        examples=few[:NUM_EXAMPLES],
    )


_WAYS_OUT = {
    OTHER_SOURCE: "crawl their source again or set curation.use_other_sources",
    "too_small": "set a lower curation.min_side_px",
    "watermarked": "set a higher curation.max_watermark_prob",
}
"""Reason -> what the user can do about it, besides taking more and better photos."""


def _why_nobody_is_kept(verdicts: pa.Table, min_photos: int, refused: Collection[str]) -> str:
    """What there is, what is needed, and the ways out that the reasons suggest."""
    if not verdicts.num_rows:
        found = (
            f"The crawl has refused {_most_common(Counter(refused))}; `bolid overview` shows why"
            if refused
            else ""
        )
        return (
            f"0 kept: no photo is stored, {min_photos} of a person are needed. "
            f"{found or 'Crawl a site, or a folder that holds one folder per person (BOLID_SOURCE_URL)'}"
        )
    counts = Counter({reason: count for reason, count in count_reasons(verdicts).items() if count})
    ways = [way for reason, way in _WAYS_OUT.items() if reason in counts]
    ways.append("add photos of each person or set a lower curation.min_photos_per_identity")
    num_people = len(set(verdicts["identity"].to_pylist()))
    return (
        f"0 kept: {_counted(verdicts.num_rows, 'photo', 'photos')} of {_counted(num_people, 'person', 'people')}, "
        f"{min_photos} needed of each. Rejected as {_most_common(counts)}; `bolid overview` shows them. "
        f"Ways out: {'; '.join(ways)}"
    )


def _most_common(counts: Counter[str]) -> str:
    return ", ".join(f"{word} ({count})" for word, count in counts.most_common())


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def rows_are_of_the_photos(
    photo_ids: Collection[str], rows_of: Mapping[str, Collection[str]]
) -> CheckOutcome:
    """Check that each table has rows for exactly these photos.

    Args:
        photo_ids: ids of the photos.
        rows_of: table -> the photo ids of its rows.
    """
    wanted = set(photo_ids)
    numbers: dict[str, int | float] = {"num_photos": len(wanted)}
    wrong: list[str] = []
    examples: list[str] = []
    for table, found in rows_of.items():
        orphans, missing = sorted(set(found) - wanted), sorted(wanted - set(found))
        numbers |= {f"num_orphans_{table}": len(orphans), f"num_missing_{table}": len(missing)}
        if orphans or missing:
            wrong.append(table)
            examples += [*orphans, *missing]
    return CheckOutcome(
        problem=f"rows of photos that are gone, or photos without a row, in {', '.join(wrong)}: materialise "
        f"{'it' if len(wrong) == 1 else 'them'} again"
        if wrong
        else None,
        numbers=numbers,
        examples=examples[:NUM_EXAMPLES],
    )
