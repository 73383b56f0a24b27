"""Checks of the crawl's tables."""

from collections.abc import Collection

from bolid_pipeline.records import CheckOutcome


def every_photo_has_its_file(paths: Collection[str], stored: Collection[str]) -> CheckOutcome:
    """Check that each row of `raw_photos` has its file in the photo store.

    Args:
        paths: column `path` of `raw_photos`.
        stored: the paths of the existing files.
    """
    missing = sorted(set(paths) - set(stored))
    problem = (
        f"{len(missing)} photos have no file: restore the files, or materialise `raw_photos` to fetch them again"
        if missing
        else None
    )
    return CheckOutcome(
        problem=problem,
        numbers={"num_photos": len(paths), "num_missing_files": len(missing)},
        examples=missing[:20],
    )
