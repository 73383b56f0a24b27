"""State dicts from disk. A pickle can run code: it is opened only with a pinned sha256, and only as data."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bolid_pipeline.errors import WeightsMismatch
from bolid_pipeline.pretrained.weights import WeightsFile, verify


def load_state(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """The state dict of a `.safetensors`, `.pt` or `.pth` file, on the CPU, dtypes as stored.

    Raises:
        WeightsMissing: no such file.
        WeightsMismatch: another sha256 than the pinned one; a pickle without one; a file that holds no state
            dict.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(verify(WeightsFile(path=path, sha256=sha256)))[0]
    checked = verify_pickle(path, sha256)
    state: Any = torch.load(checked, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsMismatch(f"{path} holds no state dict")
    return state


def load_safetensors(path: Path, sha256: str | None = None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """State dict and metadata of a safetensors file. Raises WeightsMissing, WeightsMismatch."""
    return _read_safetensors(verify(WeightsFile(path=path, sha256=sha256)))


def verify_pickle(path: Path, sha256: str | None) -> Path:
    """The path of a pickle whose sha256 was pinned and is right. Raises WeightsMissing, WeightsMismatch."""
    verify(WeightsFile(path=path))
    if sha256 is None:
        raise WeightsMismatch(
            f"{path} is a pickle, which can run code: pin its sha256, or convert it to safetensors"
        )
    return verify(WeightsFile(path=path, sha256=sha256))


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise WeightsMismatch(f"{path} is no whole safetensors file: {error}") from error
