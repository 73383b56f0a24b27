"""The checkpoint folder of the contract: written whole or not at all, without a pickle, and when it is up to date.

<run>/ref_adapter.safetensors  body_adapter.safetensors  body_encoder/  body_bank.safetensors  body_bank.json
      training_config.json  train_photos.txt  heldout_photos.txt  metrics.json  README.md  logs/metrics.csv
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bolid_pipeline.errors import WeightsMissing
from bolid_pipeline.pretrained.loading import loading
from bolid_pipeline.settings import from_json
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.flat_config import in_groups, is_flat

CODE_VERSION = "5"
"""Raised whenever a change of the training code gives another checkpoint for the same inputs."""

CONFIG_FILE = "training_config.json"
TRAIN_PHOTOS_FILE = "train_photos.txt"
HELDOUT_PHOTOS_FILE = "heldout_photos.txt"
METRICS_FILE = "metrics.json"
LOSSES_FILE = Path("logs") / "metrics.csv"
PREVIEWS = Path("logs") / "previews"


@contextmanager
def new_checkpoint(folder: Path) -> Iterator[Path]:
    """A hidden folder to write into, renamed to `folder` at the end of the `with`, in place of an older one.

    After an error the hidden folder is removed and an older checkpoint stays as it was.
    """
    staging = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        _replace_folder(folder, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def open_work_folder(folder: Path, training_fingerprint: str) -> Path:
    """The hidden folder beside a checkpoint in which its training can go on after the process was killed.

    Folders of trainings with another fingerprint are removed. All processes of a training may open it at once.
    """
    work = folder.with_name(f".{folder.name}.training-{training_fingerprint}")
    for other in folder.parent.glob(f".{folder.name}.training*"):
        if other != work:
            shutil.rmtree(other, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    return work


def unfinished_folders(checkpoints: Path) -> list[Path]:
    """The hidden folders beside the checkpoints: trainings that were killed, checkpoints half written or replaced."""
    patterns = (".*.training-*", ".*.partial", ".*.previous")
    return sorted(path for pattern in patterns for path in checkpoints.glob(pattern) if path.is_dir())


def is_up_to_date(folder: Path, training_fingerprint: str) -> bool:
    """True if `folder` is a whole checkpoint of exactly this fingerprint."""
    try:
        return bool(read_training(folder)["fingerprint"] == training_fingerprint)
    except WeightsMissing:
        return False


def read_training(folder: Path) -> dict[str, Any]:
    """training_config.json of a checkpoint: config, fingerprint, base_model and start weights.

    Raises:
        WeightsMissing: the folder is not a checkpoint.
    """
    return _read_json(folder / CONFIG_FILE)


def read_photo_ids(path: Path) -> list[str]:
    """The photo ids of TRAIN_PHOTOS_FILE or HELDOUT_PHOTOS_FILE in a checkpoint.

    Raises:
        WeightsMissing: the folder is not a checkpoint.
    """
    return _existing(path).read_text("ascii").splitlines()


def write_photo_ids(path: Path, photo_ids: Iterable[str]) -> None:
    """Write photo ids, one a line. They have files of their own because there may be hundreds of thousands."""
    with path.open("w", encoding="ascii") as file:
        file.writelines(f"{photo_id}\n" for photo_id in photo_ids)


def read_config(folder: Path) -> TrainingConfig:
    """The settings that a checkpoint was trained with; those of older versions, which had no groups, are converted.

    Raises:
        WeightsMissing: the folder is not a checkpoint.
        ConfigurationError: it was trained with settings that this version does not have.
    """
    stored = read_training(folder)["config"]
    values = in_groups(stored) if is_flat(stored) else stored
    return from_json(TrainingConfig, values, source=str(folder / CONFIG_FILE))


def read_metrics(folder: Path) -> dict[str, Any]:
    """metrics.json of a checkpoint.

    Raises:
        WeightsMissing: the folder is not a checkpoint.
    """
    return _read_json(folder / METRICS_FILE)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write readable JSON."""
    path.write_text(
        json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )


def _read_json(path: Path) -> dict[str, Any]:
    with loading(_existing(path)):
        return {**json.loads(path.read_text(encoding="utf-8"))}


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise WeightsMissing(f"{path.parent} is no BoLID checkpoint: it holds no {path.name}")
    return path


def _replace_folder(folder: Path, staging: Path) -> None:
    """Put `staging` in the place of `folder`; a crash in between leaves one of the two under a hidden name."""
    previous = folder.with_name(f".{folder.name}.previous")
    shutil.rmtree(previous, ignore_errors=True)
    if folder.exists():
        folder.rename(previous)
    staging.rename(folder)
    shutil.rmtree(previous, ignore_errors=True)
