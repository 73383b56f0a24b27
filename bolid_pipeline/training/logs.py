"""The logs of a training: its losses as CSV, in one file per start, and its progress in the log."""

import csv
import logging
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.loggers import CSVLogger

_logger = logging.getLogger(__name__)

_STARTS = "from_*/metrics.csv"
_NUM_LINES = 20


def new_logger(folder: Path, first_step: int) -> CSVLogger:
    """Logs the steps from `first_step` on, without touching the files of earlier starts."""
    return CSVLogger(folder, name="", version=f"from_{first_step:09d}", flush_logs_every_n_steps=50)


def join_logs(folder: Path, path: Path) -> list[dict[str, str]]:
    """Write the losses of all starts as one CSV with a row per step; returns the rows.

    A killed training runs some steps again: the last start counts. A term that did not run in a step is left empty.
    """
    rows: dict[int, dict[str, str]] = {}
    for start in sorted(folder.glob(_STARTS)):
        with start.open(newline="") as file:
            rows |= {int(row["step"]): row for row in csv.DictReader(file)}
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows[step] for step in sorted(rows))
    return [rows[step] for step in sorted(rows)]


class Progress(lightning.Callback):
    """Logs how many steps are done, in the first process only."""

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log a line after every twentieth of the steps."""
        del pl_module, outputs, batch, batch_idx
        step, num_steps = trainer.global_step, trainer.max_steps
        if trainer.is_global_zero and (step == num_steps or step % max(1, num_steps // _NUM_LINES) == 0):
            _logger.info("training: step %d of %d", step, num_steps)
