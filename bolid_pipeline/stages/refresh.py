"""Stages that do only what is not done yet: rows missing, or made by something that has changed since."""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from bolid_pipeline.stages.batches import MapBatches, Stage, map_batches_here
from bolid_pipeline.storage.tables import TableStore

_logger = logging.getLogger(__name__)


class Batches(TypedDict, total=False):
    """How many photos go into a call of a stage and into a commit, and where they go; see `refresh_table`."""

    batch_size: int
    rows_per_commit: int
    map_batches: MapBatches


@dataclass(frozen=True, kw_only=True)
class RefreshReport:
    """What a refresh did, in rows; `seconds` is the time spent computing, the model's loading included.

    `num_skipped` photos were looked at and have no row, because the stage found nothing to say about them.
    """

    num_rows: int
    num_computed: int
    num_up_to_date: int
    num_pruned: int
    num_skipped: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Computed rows per second; 0 where nothing was computed."""
        return self.num_computed / self.seconds if self.num_computed else 0.0


def fingerprint(**parts: Any) -> str:
    """16 hex digits for what makes a row: weights, parameters, the stage's code version.

    Args:
        parts: anything JSON can hold. Order does not matter, names and values do.
    """
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def refresh_table(
    tables: TableStore,
    table: str,
    photos: pa.Table,
    make_stage: Callable[[], Stage],
    *,
    fingerprint: str,
    fingerprint_column: str = "model_fingerprint",
    batch_size: int = 16,
    rows_per_commit: int = 64,
    map_batches: MapBatches = map_batches_here,
) -> RefreshReport:
    """Bring `table` up to date with `photos`, computing only rows that are missing or of another fingerprint.

    Rows of photos that are not in `photos` any more are dropped. Rows are committed every `rows_per_commit`,
    so that a killed run loses little and the next one goes on from there.

    Args:
        tables: where the table is.
        table: a table with the columns `photo_id` and `fingerprint_column`.
        photos: one row per photo: `photo_id` and whatever else the stage reads.
        make_stage: makes the stage; called only if there is something to compute.
        fingerprint: of the rows that the stage makes.
        fingerprint_column: the column it stands in.
        batch_size: photos per call of the stage.
        rows_per_commit: photos per commit, at least `batch_size`.
        map_batches: where the stage runs; rows are committed here, by one process.
    """
    photo_ids: list[str] = photos["photo_id"].to_pylist()
    num_pruned = tables.prune(table, set(photo_ids))
    outdated = tables.outdated(table, photo_ids, fingerprint, fingerprint_column=fingerprint_column)
    started = time.monotonic()
    num_computed = _compute(
        tables, table, _rows_of(photos, outdated), make_stage, batch_size, rows_per_commit, map_batches
    )
    tables.tidy(table)
    report = RefreshReport(
        num_rows=tables.count(table),
        num_computed=num_computed,
        num_up_to_date=len(photo_ids) - len(outdated),
        num_pruned=num_pruned,
        num_skipped=len(outdated) - num_computed,
        seconds=time.monotonic() - started,
    )
    _logger.info("%s: %s", table, report)
    return report


def sync_table(tables: TableStore, table: str, rows: pa.Table | list[dict[str, Any]]) -> RefreshReport:
    """Make `table` hold exactly `rows`, writing only those that are new or different.

    For tables that are cheap to make as a whole, like verdicts that depend on all photos of a person.
    """
    started = time.monotonic()
    schema = tables.schema(table)
    wanted = pa.Table.from_pylist(rows, schema.columns) if isinstance(rows, list) else rows
    num_pruned = tables.prune(table, set(wanted[schema.key].to_pylist()))
    stored = {row[schema.key]: row for row in tables.read(table).to_pylist()}
    changed = [row[schema.key] for row in wanted.to_pylist() if stored.get(row[schema.key]) != row]
    num_computed = tables.append(table, _rows_of(wanted, changed, schema.key))
    tables.tidy(table)
    return RefreshReport(
        num_rows=wanted.num_rows,
        num_computed=num_computed,
        num_up_to_date=wanted.num_rows - num_computed,
        num_pruned=num_pruned,
        num_skipped=0,
        seconds=time.monotonic() - started,
    )


def _compute(
    tables: TableStore,
    table: str,
    photos: pa.Table,
    make_stage: Callable[[], Stage],
    batch_size: int,
    rows_per_commit: int,
    map_batches: MapBatches,
) -> int:
    """Have the stage run over `photos` and commit what it makes; returns the number of rows."""
    if not photos.num_rows:
        return 0
    num_made = 0
    waiting: list[pa.Table] = []
    with tqdm(total=photos.num_rows, desc=table, unit="photo") as progress:
        for made in map_batches(make_stage, photos, batch_size):
            waiting.append(made)
            progress.update(min(batch_size, photos.num_rows - progress.n))
            if sum(piece.num_rows for piece in waiting) >= rows_per_commit:
                num_made += tables.append(table, pa.concat_tables(waiting))
                waiting = []
    if waiting:
        num_made += tables.append(table, pa.concat_tables(waiting))
    return num_made


def _rows_of(rows: pa.Table, keys: Sequence[str], key: str = "photo_id") -> pa.Table:
    """The rows whose key is one of `keys`, order kept."""
    return rows.filter(pc.field(key).isin(pa.array(keys, rows.schema.field(key).type)))
