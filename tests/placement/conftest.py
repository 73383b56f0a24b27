"""A GPU of pretence around every test of this folder that asks for it; see `pretend_gpu`."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pretend_gpu import Generator, OnGpu, PretendGpu
from torch.utils._device import _device_constructors
from torch.utils._pytree import tree_map


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """`cuda:0`, for the length of a test. The product sees a GPU too: `find_device("auto")` is `cuda`.

    Load models as usual and move them by `.to`; a call that mixes devices raises `DevicesMixed`.
    """
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here: tests/gpu runs the same on it")
    monkeypatch.setattr("bolid_pipeline.pretrained.device.sees_gpu", lambda: True)
    monkeypatch.setattr(torch, "Generator", Generator)
    # `Module.to` would otherwise keep each parameter and change its data, which a subclass of Tensor does not follow.
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    # Views in inference mode are refused to a subclass of Tensor; no_grad differs in speed alone.
    no_grad = torch.no_grad()
    monkeypatch.setattr(torch.inference_mode, "__enter__", lambda _: no_grad.__enter__())
    monkeypatch.setattr(torch.inference_mode, "__exit__", lambda _, *error: no_grad.__exit__(*error))
    try:
        with torch.backends.cudnn.flags(enabled=False), PretendGpu():  # the CPU has none of cuDNN's operators
            yield torch.device("cuda", 0)
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)


@pytest.fixture
def gpu_with_lists(gpu: torch.device, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """`gpu`, where `torch.tensor` takes lists of its numbers too, which a driver would read past all modes.

    transformers leaves buffers without values where `torch.tensor` is another function while it loads a model, so this
    is for networks of other libraries.
    """
    _device_constructors()  # keeps the functions that a device's context changes, this one among them, for good
    new_tensor = torch.tensor

    def tensor(data: Any, **options: Any) -> torch.Tensor:
        numbers = tree_map(lambda leaf: leaf.item() if isinstance(leaf, OnGpu) else leaf, data)
        return new_tensor(numbers, **options)

    monkeypatch.setattr(torch, "tensor", tensor)
    return gpu
