"""The loss curve of a checkpoint, from the CSV that training logged."""

import csv
import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bolid_pipeline.errors import WeightsMissing


def read_losses(path: Path) -> dict[str, NDArray[np.float64]]:
    """The columns of a metrics.csv, one value per step; nan where a term did not run.

    Raises:
        WeightsMissing: the file is missing, so its folder is not a checkpoint.
    """
    if not path.is_file():
        raise WeightsMissing(f"no losses at {path}")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}


def plot_losses(losses: dict[str, NDArray[np.float64]]) -> bytes:
    """PNG bytes: L_diff of every step and its running mean, and the KL term below."""
    figure = Figure(figsize=(8, 4.5), dpi=100, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    steps, l_diff = losses["step"], losses["l_diff"]
    top.plot(steps, l_diff, color="0.75", linewidth=0.8, label="each step")
    window = max(1, len(l_diff) // 20)
    top.plot(steps[window - 1 :], _running_mean(l_diff, window), label=f"mean of {window} steps")
    top.set_ylabel("L_diff")
    top.legend()
    bottom.plot(steps, losses["kl"])
    bottom.set_ylabel("KL")
    bottom.set_xlabel("step")
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    return np.convolve(values, np.ones(window) / window, mode="valid")
