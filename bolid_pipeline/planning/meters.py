"""Counters of what PyTorch code takes: bytes that are alive at once, and floating-point operations.

Both count fake tensors too, which have shapes and no content, so that a step of a large model is counted on any machine
in seconds.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

class MemoryMeter(TorchDispatchMode):
    """Counts the bytes of the tensors that are made inside it, for as long as they live.

    Attributes:
        live_bytes: held now.
        peak_bytes: the most that were held at once since the last `reset_peak`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live_bytes = 0
        self.peak_bytes = 0
        self._counted: set[int] = set()

    def reset_peak(self) -> None:
        """Start to look for the peak anew."""
        self.peak_bytes = self.live_bytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and count the memory of its results."""
        del types
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._count(leaf.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        number, size = id(storage), storage.nbytes()
        if number in self._counted:
            return
        self._counted.add(number)
        self.live_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        weakref.finalize(storage, self._forget, number, size)

    def _forget(self, number: int, size: int) -> None:
        self._counted.discard(number)
        self.live_bytes -= size


