"""Forgetting a person: out of tables, photos, body banks, reports and the run history, and never crawled again.

A picture that another person's gallery shows too stays with that person, marked as a doubtful label; it no longer says
whom else it may show. One thing cannot be undone here: branches that were trained on the person's photos keep what they
learned until they are trained again, which the next `full_refresh` does because its data have changed.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc

from bolid_pipeline.cli.forgetting_models import ForgottenModels, forget_in_models, people_of_banks
from bolid_pipeline.errors import UnknownIdentity
from bolid_pipeline.names import as_identity, did_you_mean
from bolid_pipeline.overview.page import PAGE_FILE
from bolid_pipeline.scraping.changed_pages import drop_changed_pages
from bolid_pipeline.scraping.fetch_journal import FetchJournal
from bolid_pipeline.scraping.forgotten import forgotten_identities, remember_to_forget
from bolid_pipeline.scraping.outcomes import SHARED
from bolid_pipeline.storage.location import Location, local_root
from bolid_pipeline.storage.people import delete_people
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.store_lock import hold_store
from bolid_pipeline.storage.tables import TableStore
from resources.run_history import RunHistory

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ForgetReport:
    """What was removed."""

    identity: str
    num_photos: int
    num_rows: int
    models: ForgottenModels
    runs: tuple[str, ...]
    """Ids of the runs that named or may have shown the person; deleted unless the history was to be kept."""


def forget(
    data_dir: Location,
    identity: str,
    *,
    local_dir: Path | None = None,
    history: RunHistory | None = None,
    keeps_history: bool = False,
) -> ForgetReport:
    """Remove a person. Safe to call again, after a crash or later: the catalogue's row goes last.

    Args:
        data_dir: folder or address of tables and photos.
        identity: the person.
        local_dir: folder of checkpoints and reports; the data folder by default.
        history: the run history; it is not looked through if None.
        keeps_history: find the runs about the person and leave them.

    Raises:
        UnknownIdentity: neither a table, nor a body bank, nor the list of the forgotten holds the person.
        StoreLocked: a run writes to the data folder.
    """
    identity, local_dir = as_identity(identity), local_root(data_dir, local_dir)
    with hold_store(data_dir, "bolid forget"):
        tables = TableStore(data_dir)
        tables.recover()
        tables.delete_set_aside()
        PhotoStore(data_dir).recover()
        _check_known(data_dir, tables, local_dir, identity)
        remember_to_forget(data_dir, identity)
        runs: list[str] = []
        if history is not None:
            runs = history.runs_about(str(data_dir), identity, since=_first_photo_at(tables, identity))
            history.delete([] if keeps_history else runs)
        return _forget(data_dir, tables, local_dir, identity, runs)


def _forget(
    data_dir: Location, tables: TableStore, local_dir: Path, identity: str, runs: Iterable[str]
) -> ForgetReport:
    rows = tables.read("raw_photos", ["photo_id", "identity"])
    theirs = rows.filter(pc.field("identity") == identity)
    models = forget_in_models(local_dir, identity, theirs["photo_id"].to_pylist())
    (local_dir / PAGE_FILE).unlink(
        missing_ok=True
    )  # it holds small pictures; the next refresh writes it anew
    num_rows = tables.prune("catalogue_pages", [])  # lists of many people, fetched again later
    _leave_to_others(tables, identity)
    _forget_traces(data_dir, tables)
    removal = delete_people(tables, PhotoStore(data_dir), [identity])
    report = ForgetReport(
        identity=identity,
        num_photos=removal.num_photos,
        num_rows=num_rows + removal.num_rows,
        models=models,
        runs=tuple(runs),
    )
    _logger.info("forgot one person: %d photos, %d rows", report.num_photos, report.num_rows)
    return report


def _check_known(data_dir: Location, tables: TableStore, local_dir: Path, identity: str) -> None:
    """Raise UnknownIdentity for somebody of whom there is nothing and who was not forgotten either."""
    known = {who for table in ("identity_catalogue", "raw_photos") for who in _people(tables, table)}
    known.update(people_of_banks(local_dir))
    if identity in known or identity in forgotten_identities(data_dir):
        return
    hint = did_you_mean(identity, known) or "`bolid block` keeps somebody out who was never crawled"
    raise UnknownIdentity(f"{identity!r} is in no table and no body bank under {data_dir}; {hint}")


def _first_photo_at(tables: TableStore, identity: str) -> datetime | None:
    rows = tables.read("raw_photos", ["identity", "fetched_at"]).filter(pc.field("identity") == identity)
    return pc.min(rows["fetched_at"]).as_py()


def _people(tables: TableStore, table: str) -> Iterable[str]:
    return tables.read(table, ["identity"])["identity"].to_pylist()


def _leave_to_others(tables: TableStore, identity: str) -> None:
    """Hand over the pictures that stand under other people too.

    Their rows in `rejected_downloads` stay, at the other person's page, and say only that the label is doubtful.
    """
    photos = {row["photo_id"]: row for row in tables.read("raw_photos").to_pylist()}
    refused = tables.read("rejected_downloads").to_pylist()
    doubtful = [row for row in refused if row["reason"] == SHARED and row["photo_id"] in photos]
    heirs = {row["photo_id"]: row for row in doubtful if row["identity"] != identity}
    taken_over = [
        {**photos[photo_id], **{name: row[name] for name in ("identity", "page_url", "source_url")}}
        for photo_id, row in heirs.items()
        if photos[photo_id]["identity"] == identity
    ]
    kept_doubts = [
        {**row, **{name: photos[row["photo_id"]][name] for name in ("identity", "page_url", "source_url")}}
        for row in doubtful
        if row["identity"] == identity and photos[row["photo_id"]]["identity"] != identity
    ]
    tables.append("rejected_downloads", kept_doubts)
    tables.append("raw_photos", taken_over)


def _forget_traces(data_dir: Location, tables: TableStore) -> None:
    """Delete what a crawl leaves beside the tables: uncommitted downloads, and pages that no parser understood."""
    photos = PhotoStore(data_dir)
    FetchJournal(data_dir, photos).discard(set(tables.read("raw_photos", ["path"])["path"].to_pylist()))
    drop_changed_pages(tables)
