"""A GPU of pretence: tensors that say `cuda:0`, keep their numbers on the CPU, and refuse to be mixed with others.

`FakeTensorMode` lets torch name a GPU on a machine without one. Here its tensors keep their values too, so that a whole
program runs in it, with every `.item()`, every mask and every `.cpu().numpy()`, and gives the numbers of the CPU.
Forward passes only: a backward pass asks the driver for a context.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.modules.module import register_module_forward_pre_hook

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

    def tolist(self) -> Any:
        """The numbers, as a tensor on a GPU gives them; torch refuses this to other subclasses of Tensor."""
        return self.on_cpu.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        return _call(func, args, kwargs or {})


_RealGenerator = torch.Generator
_gpu_generators: dict[
    int, torch.Generator
] = {}  # operators see a generator's pointer only, so it must stay alive


class GpuGenerator(torch.Generator):
    """A generator that says `cuda:0` and draws the numbers of the CPU."""

    @property
    def device(self) -> torch.device:  # pyright: ignore[reportIncompatibleVariableOverride]
        return torch.device("cuda", 0)


def _pointer(generator: torch.Generator) -> int:
    return getattr(generator, "_cdata")  # noqa: B009 - torch's types do not know it


class _GeneratorType(type):
    def __call__(cls, device: Any = "cpu") -> torch.Generator:
        if torch.device(device).type == "cpu":
            return _RealGenerator()
        generator = GpuGenerator()
        _gpu_generators[_pointer(generator)] = generator
        return generator

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _RealGenerator)


class Generator(metaclass=_GeneratorType):
    """In place of `torch.Generator`: makes generators of the GPU too."""


class PretendGpu(FakeTensorMode):
    """While it is entered, `cuda` is a device, and what is sent there becomes `OnGpu`."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        return _call(func, args, kwargs or {})


@contextmanager
def only_on_gpu() -> Iterator[None]:
    """Refuse networks that run on the CPU, which would give the same numbers, late."""

    def check(network: torch.nn.Module, _: Any) -> None:
        if any(parameter.device.type != "cuda" for parameter in network.parameters(recurse=False)):
            raise DevicesMixed(f"{type(network).__name__} runs on the CPU")

    handle = register_module_forward_pre_hook(check)
    try:
        yield
    finally:
        handle.remove()


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
    """Run an operator on the numbers; its results are where those of a GPU would be."""
    tensors = [leaf for leaf in _leaves((*args, *kwargs.values())) if isinstance(leaf, torch.Tensor)]
    on_gpu = [tensor for tensor in tensors if isinstance(tensor, OnGpu)]
    device, generator = kwargs.get("device"), kwargs.get("generator")
    gives_gpu = bool(on_gpu) if device is None else torch.device(device).type == "cuda"
    if generator is not None and gives_gpu != (_pointer(generator) in _gpu_generators):
        raise DevicesMixed(f"{func} draws on one device with the generator of another")
    if not on_gpu and not gives_gpu:
        return func(*args, **kwargs)
    _check_devices(func, args, tensors, on_gpu)
    if func is torch.ops.aten.as_strided_.default and tuple(args[1]) == tuple(args[0].shape):
        return args[0]  # adaptive_avg_pool2d sorts the strides of its one pixel, which changes nothing
    if _CHANGES_SHAPE_IN_PLACE in func.tags and on_gpu:
        raise RuntimeError(f"{func} changes the shape of a tensor in place, which OnGpu does not follow")
    numbers = {name: _mapped(_on_cpu, value) for name, value in kwargs.items() if name != "pin_memory"}
    if device is not None:
        numbers["device"] = torch.device("cpu")
    made = func(*(_mapped(_on_cpu, value) for value in args), **numbers)
    if not gives_gpu:
        return made
    known = {id(tensor.on_cpu): tensor for tensor in on_gpu}  # an operator in place returns its own argument

    def placed(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        return known[id(leaf)] if id(leaf) in known else OnGpu(leaf)

    return _mapped(placed, made)


def _check_devices(
    func: Any, args: Sequence[Any], tensors: Sequence[torch.Tensor], on_gpu: Sequence[torch.Tensor]
) -> None:
    """Refuse what a GPU would refuse; a number (a tensor without dimensions) on the CPU goes with everything."""
    name = func._schema.name
    if name in _ACROSS_DEVICES or len(on_gpu) == len(tensors):
        return
    if name in _TAKES_CPU_INDICES and isinstance(args[0], OnGpu):
        tensors = [leaf for leaf in (args[0], *args[2:3]) if isinstance(leaf, torch.Tensor)]
    if any(not isinstance(tensor, OnGpu) and tensor.ndim for tensor in tensors):
        shapes = ", ".join(f"{tuple(each.shape)} on {each.device}" for each in tensors)
        raise DevicesMixed(f"{func} of tensors on different devices: {shapes}")


def _on_cpu(leaf: Any) -> Any:
    return leaf.on_cpu if isinstance(leaf, OnGpu) else leaf


def _leaves(values: Sequence[Any]) -> Iterator[Any]:
    """The values, and what lists among them hold; operators take nothing deeper."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from value
        else:
            yield value


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    return type(value)(map(change, value)) if type(value) in {list, tuple} else change(value)
