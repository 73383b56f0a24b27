"""Forgetting a person: out of tables, photo store, body banks and reports, and never crawled again.

A picture that another person's gallery shows too stays with that person, marked as a doubtful label; it no longer says
whom else it may show. One thing cannot be undone here: branches that were trained on the person's photos keep what they
learned until they are trained again, which the next `full_refresh` does because its data have changed.
"""

import logging
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from bolid_pipeline.errors import UnknownIdentity
from bolid_pipeline.models.body_bank import BANK_FILE, BodyBank
from bolid_pipeline.overview.page import PAGE_FILE
from bolid_pipeline.scraping.changed_pages import drop_changed_pages
from bolid_pipeline.scraping.fetch_journal import FetchJournal
from bolid_pipeline.scraping.forgotten import remember_to_forget
from bolid_pipeline.scraping.outcomes import SHARED
from bolid_pipeline.storage.location import Location, local_root
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.store_lock import hold_store
from bolid_pipeline.storage.tables import TableStore
from bolid_pipeline.training import checkpoint
from bolid_pipeline.training.model_card import model_card

_logger = logging.getLogger(__name__)

_BY_PHOTO = (
    "photo_clusters",
    "watermark_scores",
    "face_detections",
    "captions",
    "poses",
    "curated_photos",
    "latents",
)
_BY_IDENTITY = ("folder_files", "photo_pages", "rejected_downloads", "identity_catalogue")


@dataclass(frozen=True, kw_only=True)
class ForgetReport:
    """Counts of what was removed."""

    num_photos: int
    num_rows: int
    checkpoints: tuple[str, ...]
    """Names of the runs whose body bank held the person; their reports went too."""


def forget(data_dir: Location, identity: str, *, local_dir: Path | None = None) -> ForgetReport:
    """Remove a person. Safe to call again after a crash: the photos' own rows go last.

    Args:
        data_dir: folder or address of tables and photos.
        identity: the person.
        local_dir: folder of checkpoints and reports; the data folder by default.

    Raises:
        UnknownIdentity: neither a table nor a body bank holds the person.
        StoreLocked: a run writes to the data folder.
    """
    with hold_store(data_dir, "bolid forget"):
        return _forget(data_dir, identity, local_root(data_dir, local_dir))


def _forget(data_dir: Location, identity: str, local_dir: Path) -> ForgetReport:
    tables = TableStore(data_dir)
    tables.recover()
    tables.delete_set_aside()
    PhotoStore(data_dir).recover()
    photos = tables.read("raw_photos", ["photo_id", "identity", "path"])
    theirs = photos.filter(pc.field("identity") == identity)
    banks = _banks_with(local_dir, identity)
    catalogued = tables.read("identity_catalogue", ["identity"])["identity"].to_pylist()
    if not (theirs.num_rows or banks or identity in catalogued):
        raise UnknownIdentity(f"{identity!r} is in no table and no body bank under {data_dir}")
    remember_to_forget(data_dir, [identity])
    photo_ids: list[str] = theirs["photo_id"].to_pylist()
    stays = _leave_to_others(tables, identity)
    for folder in banks:
        _forget_in_checkpoint(folder, identity, photo_ids)
        shutil.rmtree(local_dir / "reports" / folder.name, ignore_errors=True)
    (local_dir / PAGE_FILE).unlink(
        missing_ok=True
    )  # it holds small pictures; the next refresh writes it anew
    num_rows = sum(tables.delete(table, "photo_id", photo_ids) for table in _BY_PHOTO)
    num_rows += sum(tables.delete(table, "identity", [identity]) for table in _BY_IDENTITY)
    num_rows += tables.prune("catalogue_pages", [])  # lists of many people, fetched again later
    for row in theirs.to_pylist():
        if row["photo_id"] not in stays:
            PhotoStore(data_dir).delete(row["path"])
    _forget_traces(data_dir, tables)
    num_rows += tables.delete("raw_photos", "identity", [identity])
    report = ForgetReport(
        num_photos=theirs.num_rows - len(stays),
        num_rows=num_rows,
        checkpoints=tuple(folder.name for folder in banks),
    )
    _logger.info("forgot one person: %s", report)
    return report


def _leave_to_others(tables: TableStore, identity: str) -> set[str]:
    """Hand over the pictures that stand under other people too; returns their ids.

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
    return {row["photo_id"] for row in taken_over}


def _forget_traces(data_dir: Location, tables: TableStore) -> None:
    """Delete what a crawl leaves beside the tables: uncommitted downloads, and pages that no parser understood."""
    photos = PhotoStore(data_dir)
    FetchJournal(data_dir, photos).discard(set(tables.read("raw_photos", ["path"])["path"].to_pylist()))
    drop_changed_pages(tables)


def _banks_with(local_dir: Path, identity: str) -> list[Path]:
    """The checkpoint folders whose body bank holds the person."""
    folders = sorted(path.parent for path in (local_dir / "checkpoints").glob(f"*/{BANK_FILE}"))
    return [folder for folder in folders if identity in BodyBank.load(folder).identities]


def _forget_in_checkpoint(folder: Path, identity: str, photo_ids: Collection[str]) -> None:
    """Take the person out of bank, photo lists and model card; without anybody else the checkpoint is deleted."""
    bank = BodyBank.load(folder).without(identity)
    if not bank.identities:
        shutil.rmtree(folder)
        return
    training = checkpoint.read_training(folder)
    for name in ("train_photo_ids", "heldout_photo_ids"):
        training[name] = [photo_id for photo_id in training[name] if photo_id not in photo_ids]
    people = [name for name, count in zip(bank.identities, bank.num_views, strict=True) for _ in range(count)]
    card = model_card(
        checkpoint.read_config(folder),
        base_model=training["base_model"],
        identities=people,
        metrics=checkpoint.read_metrics(folder),
    )
    bank.save(folder)
    checkpoint.write_json(folder / checkpoint.CONFIG_FILE, training)
    (folder / "README.md").write_text(card, "utf-8")
