"""Tests on a real GPU: `pytest tests/gpu -m gpu`, or `benchmarks/gpu`, which also runs where a GPU is lent."""

from collections.abc import Iterator

import pytest
import torch

from bolid_pipeline.pretrained.memory import free_memory


@pytest.fixture(autouse=True)
def gpu() -> Iterator[torch.device]:
    """The GPU; its memory is given back after each test."""
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here; tests/placement shows the same as far as a CPU can")
    yield torch.device("cuda", 0)
    free_memory()
