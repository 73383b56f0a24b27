"""Brings a table up to date: only missing rows, and rows whose ingredients have changed, are computed."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from bolid_pipeline.stages.recipe import Recipe
from bolid_pipeline.storage.rows import is_one_of
from bolid_pipeline.storage.snapshot import Snapshot
from bolid_pipeline.storage.tables import TableStore

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RefreshReport:
    """Counts of a refresh, in rows; `seconds` is the time spent computing, the model's loading included.

    `num_relabelled` of the rows that are up to date took over a changed column of their photo, such as its person.
    `num_skipped` photos were looked at and have no row, because the stage returned none for them.
    """

    num_rows: int
    num_computed: int
    num_up_to_date: int
    num_pruned: int
    num_skipped: int
    seconds: float
    num_relabelled: int = 0

    @property
    def rows_per_second(self) -> float:
        """Computed rows per second; 0 where nothing was computed."""
        return self.num_computed / self.seconds if self.num_computed else 0.0


def refresh_table(
    tables: TableStore,
    recipe: Recipe,
    photos: pa.Table,
    compute: Callable[[pa.Table], Iterator[pa.Table]],
    *,
    rows_per_commit: int = 64,
) -> RefreshReport:
    """Bring the recipe's table up to date with `photos`, computing only missing and outdated rows.

    Rows of photos that are not in `photos` any more are dropped. Rows are committed every `rows_per_commit`,
    so that a killed run loses little and the next one goes on from there. A refresh that finds nothing to do opens
    each file of the table once.

    Args:
        tables: the store that holds the table.
        recipe: how its rows are made.
        photos: one row per photo: `photo_id` and whatever else the stage reads.
        compute: runs the stage over photos and yields its rows in pieces, in any order. Called only if there is
            something to compute.
        rows_per_commit: photos per commit.
    """
    columns = [recipe.fingerprint_column, *recipe.copied_columns]
    seen = tables.snapshot(recipe.table, columns, expected=recipe.table_columns)
    if recipe.is_update:
        photos = _with_keys(photos, seen.rows["photo_id"].to_pylist())
    photo_ids: list[str] = photos["photo_id"].to_pylist()
    stored = tables.keep(seen, seen.is_current_N & seen.holds("photo_id", photo_ids))
    outdated = stored.missing(photo_ids, recipe.fingerprint_column, recipe.fingerprint)
    started = time.monotonic()
    relabelled = _relabel(tables, recipe, stored, photos, set(outdated), rows_per_commit)
    made = _compute(tables, recipe, stored, _with_keys(photos, outdated), compute, rows_per_commit)
    written = [*relabelled, *made]
    left = tables.keep(stored, ~stored.holds("photo_id", written)) if written else stored
    tables.limit_parts(recipe.table)
    report = RefreshReport(
        num_rows=left.num_current + len(written),
        num_computed=len(made),
        num_up_to_date=len(photo_ids) - len(outdated),
        num_relabelled=len(relabelled),
        num_pruned=seen.num_current - stored.num_current,
        num_skipped=len(outdated) - len(made),
        seconds=time.monotonic() - started,
    )
    _logger.info("%s: %s", recipe.table, report)
    return report


def sync_table(tables: TableStore, table: str, rows: pa.Table | list[dict[str, Any]]) -> RefreshReport:
    """Make `table` hold exactly `rows`, writing only those that are new or different.

    For tables that are cheap to make as a whole, like verdicts that depend on all photos of a person.
    """
    started = time.monotonic()
    schema = tables.schema(table)
    wanted = pa.Table.from_pylist(rows, schema.columns) if isinstance(rows, list) else rows
    seen = tables.snapshot(table, schema.columns.names)
    stored = tables.keep(seen, seen.is_current_N & seen.holds(schema.key, wanted[schema.key].to_pylist()))
    known = {row[schema.key]: row for row in stored.rows.to_pylist()}
    changed = [row[schema.key] for row in wanted.to_pylist() if known.get(row[schema.key]) != row]
    num_computed = tables.append(table, _with_keys(wanted, changed, schema.key))
    tables.keep(stored, ~stored.holds(schema.key, changed))
    tables.limit_parts(table)
    return RefreshReport(
        num_rows=wanted.num_rows,
        num_computed=num_computed,
        num_up_to_date=wanted.num_rows - num_computed,
        num_pruned=seen.num_current - stored.num_current,
        num_skipped=0,
        seconds=time.monotonic() - started,
    )


def _compute(
    tables: TableStore,
    recipe: Recipe,
    stored: Snapshot,
    photos: pa.Table,
    compute: Callable[[pa.Table], Iterator[pa.Table]],
    rows_per_commit: int,
) -> list[str]:
    """Run the stage over `photos` and commit its rows; returns their keys."""
    if not photos.num_rows:
        return []
    made: list[str] = []
    waiting: list[pa.Table] = []
    fingerprints = recipe.fingerprints

    def commit() -> None:
        rows = pa.concat_tables(waiting)
        waiting.clear()
        if rows.num_rows:
            tables.append(recipe.table, _completed(tables, recipe, stored, rows, fingerprints))
            made.extend(rows["photo_id"].to_pylist())

    with tqdm(total=photos.num_rows, desc=recipe.table, unit="photo") as progress:
        for piece in compute(photos):
            waiting.append(piece)
            progress.update(piece.num_rows)
            if sum(each.num_rows for each in waiting) >= rows_per_commit:
                commit()
    if waiting:
        commit()
    return made


def _relabel(
    tables: TableStore,
    recipe: Recipe,
    stored: Snapshot,
    photos: pa.Table,
    outdated: set[str],
    rows_per_commit: int,
) -> list[str]:
    """Write the rows again whose copied columns differ from their photo's; returns their keys."""
    if not recipe.copied_columns:
        return []
    names = ["photo_id", *recipe.copied_columns]
    wanted = {row["photo_id"]: row for row in photos.select(names).to_pylist()}
    rows = [row for row in stored.rows.select(names).to_pylist() if row["photo_id"] not in outdated]
    changed = [row["photo_id"] for row in rows if row != wanted[row["photo_id"]]]
    for start in range(0, len(changed), rows_per_commit):
        keys = changed[start : start + rows_per_commit]
        whole = tables.rows_at(stored, keys, recipe.table_columns.names)
        for name in recipe.copied_columns:
            field = recipe.table_columns.field(name)
            column = pa.array([wanted[key][name] for key in keys], field.type)
            whole = whole.set_column(whole.schema.get_field_index(name), field, column)
        tables.append(recipe.table, whole)
    return changed


def _completed(
    tables: TableStore, recipe: Recipe, stored: Snapshot, made: pa.Table, fingerprints: dict[str, str]
) -> pa.Table:
    """Whole rows: the columns that the stage made, the fingerprints, and for an update the other columns as stored."""
    whole = {name: made[name] for name in made.column_names}
    whole |= {name: pa.array([value] * made.num_rows) for name, value in fingerprints.items()}
    rest = [name for name in recipe.table_columns.names if name not in whole]
    if recipe.is_update:
        kept = tables.rows_at(stored, made["photo_id"].to_pylist(), rest)
        whole |= {name: kept[name] for name in rest}
    return pa.table([whole[name] for name in recipe.table_columns.names], schema=recipe.table_columns)


def _with_keys(rows: pa.Table, keys: Sequence[str], key: str = "photo_id") -> pa.Table:
    """The rows whose key is one of `keys`, order kept."""
    return rows.filter(is_one_of(rows[key], keys))
