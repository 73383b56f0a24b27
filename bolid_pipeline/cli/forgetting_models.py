"""Forgetting a person in what was made of the photos: checkpoints, trainings that were killed, reports."""

import shutil
from collections.abc import Collection
from pathlib import Path

from bolid_pipeline.evaluation.report import REPORT_FILE
from bolid_pipeline.models.body_bank import BANK_FILE, BodyBank
from bolid_pipeline.training import checkpoint
from bolid_pipeline.training.model_card import model_card


def people_of_banks(local_dir: Path) -> dict[Path, tuple[str, ...]]:
    """Checkpoint folder -> the people of its body bank."""
    folders = sorted(path.parent for path in (local_dir / "checkpoints").glob(f"*/{BANK_FILE}"))
    return {folder: BodyBank.load(folder).identities for folder in folders}


def forget_in_checkpoints(
    local_dir: Path, identity: str, photo_ids: Collection[str]
) -> tuple[list[str], list[str]]:
    """Take a person out of checkpoints, and delete what may show or teach the person otherwise.

    Reports of the checkpoints that held the person, and reports that are older than their checkpoint or have none, are
    deleted: nothing says whom those show. So are hidden folders of trainings that were killed, which could not go on
    anyway, because their data have changed.

    Args:
        local_dir: folder of checkpoints and reports.
        identity: the person.
        photo_ids: the person's photos.

    Returns:
        Names of the checkpoints that held the person, and of everything that was deleted.
    """
    banks = people_of_banks(local_dir)
    held = [folder for folder, people in banks.items() if identity in people]
    doomed: list[Path] = []
    if held or photo_ids:
        doomed += checkpoint.unfinished_folders(local_dir / "checkpoints")
        reports = [path for path in (local_dir / "reports").glob("*") if path.is_dir()]
        doomed += [path for path in reports if _may_show(path, local_dir / "checkpoints" / path.name, held)]
    doomed += [folder for folder in held if banks[folder] == (identity,)]
    for path in doomed:
        shutil.rmtree(path)
    for folder in held:
        if folder not in doomed:  # the banks last: they say whose reports are to be deleted
            _forget_in_checkpoint(folder, identity, photo_ids)
    return [folder.name for folder in held], [str(path.relative_to(local_dir)) for path in sorted(doomed)]


def _forget_in_checkpoint(folder: Path, identity: str, photo_ids: Collection[str]) -> None:
    """Take the person out of previews, photo lists, model card and, last, the bank, which says that all is done."""
    bank = BodyBank.load(folder).without(identity)
    shutil.rmtree(folder / checkpoint.PREVIEWS, ignore_errors=True)
    training = checkpoint.read_training(folder)
    for name in ("train_photo_ids", "heldout_photo_ids"):
        training[name] = [photo_id for photo_id in training[name] if photo_id not in photo_ids]
    checkpoint.write_json(folder / checkpoint.CONFIG_FILE, training)
    people = [name for name, count in zip(bank.identities, bank.num_views, strict=True) for _ in range(count)]
    card = model_card(
        checkpoint.read_config(folder),
        base_model=training["base_model"],
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
