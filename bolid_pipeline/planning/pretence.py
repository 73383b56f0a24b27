"""A training step that is only pretended: every network and every call of the real one, on tensors without content.

Fake tensors know shape and precision and hold no numbers, so a step of Stable Diffusion XL at batch 32 runs on a laptop
in under a minute. They pretend to lie on the CPU, because a backward pass of fake CUDA tensors needs CUDA.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

M = TypeVar("M", bound=nn.Module)


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Make fake tensors on the CPU behave as real ones on a GPU, for the length of a `with`."""
    with (
        # `Module.to` swaps the content of a parameter, which fake tensors do not allow.
        patch.object(nn.Module, "_apply", _apply),
        # CUDA's autocast normalises in float32 and keeps the float32 input; that of the CPU does not.
        patch.object(F, "group_norm", _in_float32(F.group_norm)),
        patch.object(F, "layer_norm", _in_float32(F.layer_norm)),
    ):
        yield


def without_content(module: M, mode: FakeTensorMode) -> M:
    """Replace the parameters and buffers of a module by fake ones, in place; returns the module."""
    with mode:
        return _apply(module, lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype))


def _apply(module: nn.Module, change: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
    """`Module._apply` by new parameters in place of old ones."""
    for part in module.modules() if recurse else [module]:
        for name, parameter in part.named_parameters(recurse=False):
            changed = change(parameter)
            if changed is not parameter:
                setattr(part, name, nn.Parameter(changed.detach(), parameter.requires_grad))
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, change(buffer))
    return module


def _in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_autocast_enabled("cpu"):
            return function(*args, **kwargs)
        return function(*map(_widened, args), **{name: _widened(value) for name, value in kwargs.items()})

    return call


def _widened(value: Any) -> Any:
    return value.float() if isinstance(value, torch.Tensor) else value
