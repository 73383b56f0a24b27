"""A counter of what PyTorch code takes: bytes that are alive at once, and floating-point operations."""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry


class Meter(TorchDispatchMode):
    """Counts the operations inside it, and the tensors that they make for as long as these live; fake tensors too.

    Attributes:
        live_bytes: memory of these tensors now.
        peak_bytes: the most that it was since `reset`.
        operations: floating-point operations of matrix products, convolutions and attention since `reset`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live_bytes = 0
        self.peak_bytes = 0
        self.operations = 0
        self._counted: set[int] = set()

    def reset(self) -> None:
        """Count operations, and look for the peak, anew."""
        self.peak_bytes = self.live_bytes
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count it."""
        del types
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if (formula := flop_registry.get(func.overloadpacket)) is not None:
            self.operations += formula(*args, **kwargs, out_val=result)
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
