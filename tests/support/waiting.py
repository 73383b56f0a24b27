"""Calls in which the CPU would wait for the GPU, found on the GPU of pretence."""

from collections.abc import Sequence
from typing import Any

import torch
from pretend_gpu import OnGpu
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

_COPIES = {"aten::copy_", "aten::_to_copy"}
_BY_INDEX = {"aten::index", "aten::_unsafe_index", "aten::index_put", "aten::index_put_"}
_DEPENDS_ON_VALUES = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class Waits(AssertionError):
    """The CPU would wait for the GPU in this call."""


class WithoutWaiting(TorchDispatchMode):
    """Refuses what waits for the GPU: to read a number, to make a size depend on numbers, to copy between the two."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        """Look at an operator before it runs."""
        kwargs = kwargs or {}
        if _waits(func, args, kwargs):
            raise Waits(str(func))
        return func(*args, **kwargs)


def _waits(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    name = func._schema.name
    if name in _COPIES:
        source, target = (
            (args[0], kwargs.get("device")) if name == "aten::_to_copy" else (args[1], args[0].device)
        )
        return target is not None and torch.device(target).type != source.device.type
    if not any(isinstance(leaf, OnGpu) for leaf in tree_iter((args, kwargs))):
        return False
    if (
        name in _BY_INDEX
    ):  # a mask has as many elements as it has trues; other indices must be on the GPU already
        indices = [leaf for leaf in tree_iter(args[1]) if isinstance(leaf, torch.Tensor)]
        return any(index.dtype == torch.bool or not isinstance(index, OnGpu) for index in indices)
    return not _DEPENDS_ON_VALUES.isdisjoint(func.tags)
