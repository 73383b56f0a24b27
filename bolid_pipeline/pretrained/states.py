"""State dicts from disk.

A pickle can run code when it is opened, so it is opened only if its sha256 is pinned and right, and only as data.
"""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bolid_pipeline.errors import WeightsMismatch
from bolid_pipeline.pretrained.loading import loading
from bolid_pipeline.pretrained.weights import WeightsFile, verify


def load_state(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Read the state dict of a `.safetensors`, `.pt` or `.pth` file onto the CPU, with the dtypes as stored.

    Raises:
        WeightsMissing: the file is missing.
        WeightsMismatch: the file has another sha256 than the pinned one, is a pickle without a pinned one, or holds
            something else than a state dict. A pickle that would run code is refused without running it.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(verify(WeightsFile(path=path, sha256=sha256)))[0]
    with loading(verify_pickle(path, sha256)) as checked:
        try:
            state: Any = torch.load(checked, map_location="cpu", weights_only=True)
        except UnpicklingError as error:
            raise WeightsMismatch(
                f"{path} is damaged, or holds other objects than tensors, which could run code (none was run): "
                "save the state_dict() of the network as safetensors"
            ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsMismatch(f"{path} holds no state dict: save the state_dict() of the network")
    return state


def load_safetensors(path: Path, sha256: str | None = None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the state dict and the metadata of a safetensors file. Raises WeightsMissing, WeightsMismatch."""
    return _read_safetensors(verify(WeightsFile(path=path, sha256=sha256)))


def verify_pickle(path: Path, sha256: str | None) -> Path:
    """Return the path of a pickle if its sha256 is pinned and right. Raises WeightsMissing, WeightsMismatch."""
    verify(WeightsFile(path=path))
    if sha256 is None:
        raise WeightsMismatch(
            f"{path} is a pickle, which can run code: pin its sha256 (`bolid models pin`), or convert it to safetensors"
        )
    return verify(WeightsFile(path=path, sha256=sha256))


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise WeightsMismatch(f"{path} is no whole safetensors file: {error}") from error
