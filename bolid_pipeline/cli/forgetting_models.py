"""Forgetting a person in what was made of the photos: checkpoints, trainings that were killed, reports."""

import shutil
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from bolid_pipeline.errors import BolidError
from bolid_pipeline.evaluation.report import REPORT_FILE
from bolid_pipeline.models.body_bank import BANK_FILE, BodyBank
from bolid_pipeline.training import checkpoint
from bolid_pipeline.training.model_card import model_card


@dataclass(frozen=True, kw_only=True)
class ForgottenModels:
    """What became of checkpoints, trainings and reports; folders are relative to the local folder."""

    checkpoints: tuple[str, ...]
    """Names of the checkpoints whose body bank held the person."""
    deleted: tuple[str, ...]
    """Folders that were deleted."""
    left: tuple[str, ...]
    """A sentence for each checkpoint that could not be changed or read."""


def people_of_banks(local_dir: Path) -> dict[str, set[Path]]:
    """Person -> the checkpoint folders whose body bank holds the person; unreadable banks are left out."""
    people: dict[str, set[Path]] = defaultdict(set)
    for folder in _banks(local_dir):
        with suppress(*_UNREADABLE):
            for identity in BodyBank.load(folder).identities:
                people[identity].add(folder)
    return people


def forget_in_models(local_dir: Path, identity: str, photo_ids: Collection[str]) -> ForgottenModels:
    """Take a person out of checkpoints, and delete what may show or teach the person otherwise.

    Reports of the checkpoints that held the person, and reports that are older than their checkpoint or have none, are
    deleted: nothing says whom those show. So are hidden folders of trainings that were killed, which could not go on
    anyway, because their data have changed. A checkpoint that cannot be read or changed keeps nothing else from going.

    Args:
        local_dir: folder of checkpoints and reports.
        identity: the person.
        photo_ids: the person's photos.
    """
    held = people_of_banks(local_dir).get(identity, set())
    doomed: list[Path] = []
    if held or photo_ids:
        doomed += checkpoint.unfinished_folders(local_dir / "checkpoints")
        reports = [path for path in (local_dir / "reports").glob("*") if path.is_dir()]
        doomed += [path for path in reports if _may_show(path, local_dir / "checkpoints" / path.name, held)]
    doomed += [folder for folder in held if BodyBank.load(folder).identities == (identity,)]
    for path in doomed:
        shutil.rmtree(path)
    left: list[str] = []
    for folder in _banks(local_dir):
        try:
            _forget_in_checkpoint(folder, identity, photo_ids)
        except _UNREADABLE as error:
            left.append(f"{folder} may still hold {identity}, because it cannot be changed: {error}")
    return ForgottenModels(
        checkpoints=tuple(sorted(folder.name for folder in held)),
        deleted=tuple(str(path.relative_to(local_dir)) for path in sorted(doomed)),
        left=tuple(left),
    )


_UNREADABLE = (BolidError, OSError, ValueError, KeyError, SafetensorError)
"""What a checkpoint raises that is damaged, or that was trained with settings that this version does not have."""


def _banks(local_dir: Path) -> list[Path]:
    return sorted(path.parent for path in (local_dir / "checkpoints").glob(f"*/{BANK_FILE}"))


def _forget_in_checkpoint(folder: Path, identity: str, photo_ids: Collection[str]) -> None:
    """Take the person out of previews, photo lists, model card and, last, the bank, which says whose reports go."""
    bank = BodyBank.load(folder)
    if identity not in bank.identities:
        return
    bank = bank.without(identity)
    shutil.rmtree(folder / checkpoint.PREVIEWS, ignore_errors=True)
    training = checkpoint.read_training(folder)
    started_from, theirs = training.get("start_from"), set(photo_ids)
    for name in (checkpoint.TRAIN_PHOTOS_FILE, checkpoint.HELDOUT_PHOTOS_FILE):
        kept = [photo_id for photo_id in checkpoint.read_photo_ids(folder / name) if photo_id not in theirs]
        checkpoint.write_photo_ids(folder / name, kept)
    people = [name for name, count in zip(bank.identities, bank.num_views, strict=True) for _ in range(count)]
    card = model_card(
        checkpoint.read_config(folder),
        base_model=training["base_model"],
        start_from=started_from and Path(started_from["place"]).name,
        identities=people,
        metrics=checkpoint.read_metrics(folder),
    )
    (folder / "README.md").write_text(card, "utf-8")
    bank.save(folder)


def _may_show(report: Path, made_of: Path, held: Collection[Path]) -> bool:
    """True if a report is of a checkpoint that held the person, or not of the checkpoint that is there now."""
    page, metrics = report / REPORT_FILE, made_of / checkpoint.METRICS_FILE
    if made_of in held or not page.is_file() or not metrics.is_file():
        return True
    return page.stat().st_mtime < metrics.stat().st_mtime
