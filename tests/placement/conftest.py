"""A GPU of pretence around every test of this folder that asks for it; see `pretend_gpu`."""

from collections.abc import Iterator

import pytest
import torch
from pretend_gpu import PretendGpu


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """`cuda:0`, for the length of a test. The product sees a GPU too: `find_device("auto")` is `cuda`.

    Load models as usual and move them by `.to`; a call that mixes devices raises `DevicesMixed`.
    """
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here: tests/gpu runs the same on it")
    monkeypatch.setattr("bolid_pipeline.pretrained.device.sees_gpu", lambda: True)
    # `Module.to` would otherwise keep each parameter and change its data, which a subclass of Tensor does not follow.
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with PretendGpu():
            yield torch.device("cuda", 0)
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
