"""The losses of a training, one CSV file a start, joined into one: a killed run's later steps were run again."""

import csv
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger

_STARTS = "from_*/metrics.csv"


def new_logger(folder: Path, first_step: int) -> CSVLogger:
    """Logs the steps from `first_step` on, without touching the files of earlier starts."""
    return CSVLogger(folder, name="", version=f"from_{first_step:09d}", flush_logs_every_n_steps=50)


def join_logs(folder: Path, path: Path) -> list[dict[str, str]]:
    """Write the losses of all starts as one CSV, one row a step, the last start's where two have it; returns the rows.

    A term that did not run in a step is left empty.
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
