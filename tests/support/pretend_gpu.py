"""A GPU of pretence: tensors that say `cuda:0`, keep their numbers on the CPU, and refuse to be mixed with others.

`FakeTensorMode` lets torch name a GPU on a machine without one. Here its tensors keep their values too, so that a whole
program runs in it, with every `.item()`, every mask and every `.cpu().numpy()`, and gives the numbers of the CPU.
Forward passes only: a backward pass asks the driver for a context.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_iter, tree_map

_ACROSS_DEVICES = {"aten::copy_", "aten::_to_copy", "aten::_foreach_copy_"}
_TAKES_CPU_INDICES = {"aten::index", "aten::_unsafe_index", "aten::index_put", "aten::index_put_"}
_CHANGES_SHAPE_IN_PLACE = torch.Tag.inplace_view


class DevicesMixed(AssertionError):
    """A GPU would refuse this call: its tensors, or its generator, are on different devices."""


class OnGpu(torch.Tensor):
    """A tensor on the GPU of pretence; `on_cpu` holds its numbers."""

    on_cpu: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore[reportAssignmentType]

    def __new__(cls, values: torch.Tensor) -> Self:
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=torch.device("cuda", 0),
        )
        tensor.on_cpu = values
        return tensor

    def __repr__(self, **_: Any) -> str:
        return f"OnGpu({self.on_cpu})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        return _call(func, args, kwargs or {})


class PretendGpu(FakeTensorMode):
    """While it is entered, `cuda` is a device, and what is sent there becomes `OnGpu`."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        return _call(func, args, kwargs or {})


@contextmanager
def bf16_mixed() -> Iterator[None]:
    """The context in which Lightning runs a step of `bf16-mixed`; `torch.autocast` itself asks for a real GPU."""
    torch.set_autocast_enabled("cuda", True)
    torch.set_autocast_dtype("cuda", torch.bfloat16)
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", False)
        torch.clear_autocast_cache()


def _call(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run an operator on the values; its results are where those of a GPU would be."""
    tensors = [leaf for leaf in tree_iter((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    on_gpu = [tensor for tensor in tensors if isinstance(tensor, OnGpu)]
    _check_devices(func, args, tensors, on_gpu)
    device = kwargs.get("device")
    gives_gpu = bool(on_gpu) if device is None else torch.device(device).type == "cuda"
    generator = kwargs.get("generator")
    if gives_gpu and generator is not None and generator.device.type == "cpu":
        raise DevicesMixed(f"{func} draws on cuda:0 with a generator of the CPU")
    if on_gpu and _CHANGES_SHAPE_IN_PLACE in func.tags:
        raise NotImplementedError(
            f"{func} changes the shape of a tensor in place, which OnGpu does not follow"
        )
    values_args, values_kwargs = tree_map(
        lambda leaf: leaf.on_cpu if isinstance(leaf, OnGpu) else leaf, (tuple(args), kwargs)
    )
    if device is not None:
        values_kwargs["device"] = torch.device("cpu")
    values_kwargs.pop("pin_memory", None)
    known = {id(tensor.on_cpu): tensor for tensor in on_gpu}  # an operator in place returns its own argument

    def placed(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        return known[id(leaf)] if id(leaf) in known else OnGpu(leaf)

    values = func(*values_args, **values_kwargs)
    return tree_map(placed, values) if gives_gpu else values


def _check_devices(
    func: Any, args: Sequence[Any], tensors: Sequence[torch.Tensor], on_gpu: Sequence[torch.Tensor]
) -> None:
    """Refuse what a GPU would refuse; a number (a tensor without dimensions) on the CPU goes with everything."""
    name = func._schema.name
    if name in _ACROSS_DEVICES or not on_gpu:
        return
    if name in _TAKES_CPU_INDICES and isinstance(args[0], OnGpu):
        tensors = [leaf for leaf in (args[0], *args[2:3]) if isinstance(leaf, torch.Tensor)]
    if any(not isinstance(tensor, OnGpu) and tensor.ndim for tensor in tensors):
        shapes = ", ".join(f"{tuple(each.shape)} on {each.device}" for each in tensors)
        raise DevicesMixed(f"{func} of tensors on different devices: {shapes}")
