"""The check that a table is about the photos that are there, and about each of them."""

from collections.abc import Sequence

import dagster as dg

from bolid_pipeline.storage.tables import TableStore


def orphan_check(tables: TableStore, photo_ids: set[str], names: Sequence[str]) -> dg.AssetCheckResult:
    """Passes where every table's `photo_id`s are exactly `photo_ids`."""
    orphans, missing = {}, {}
    for name in names:
        found = set(tables.read(name, ["photo_id"])["photo_id"].to_pylist())
        orphans[name], missing[name] = len(found - photo_ids), len(photo_ids - found)
    return dg.AssetCheckResult(
        passed=not any(orphans.values()) and not any(missing.values()),
        metadata={"num_photos": len(photo_ids), "orphan_rows": orphans, "missing_rows": missing},
    )
