import gc
import weakref

import pytest
import torch

from bolid_pipeline.errors import OutOfMemory
from bolid_pipeline.pretrained.memory import BatchSize, is_out_of_memory


class SmallDevice:
    """Computes batches of at most `limit` items, and remembers the sizes that it was asked for."""

    def __init__(self, limit, error=None):
        self.limit = limit
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        self.asked: list[int] = []

    def __call__(self, part):
        self.asked.append(part.stop - part.start)
        if self.asked[-1] > self.limit:
            raise self.error
        return list(range(part.start, part.stop))


def made(size, count, device):
    return [item for batch in size.batches(count, device) for item in batch]


def test_a_batch_that_does_not_fit_is_halved_and_the_smaller_size_is_kept(caplog):
    device, size = SmallDevice(limit=5), BatchSize(16, "photos")
    assert made(size, 40, device) == list(range(40))
    assert device.asked == [16, 8, *[4] * 10]
    assert "photos: 16 at once do not fit in the memory of the device; going on with 8" in caplog.text
    device.asked.clear()
    assert made(size, 6, device) == list(range(6))
    assert device.asked == [4, 2]


def test_finished_batches_are_not_computed_again():
    device, size = SmallDevice(limit=8), BatchSize(8, "photos")
    batches = size.batches(24, device)
    next(batches)
    device.limit = 3
    assert [item for batch in batches for item in batch] == list(range(8, 24))
    assert device.asked == [8, 8, 4, *[2] * 8]


def test_an_item_that_does_not_fit_alone_gives_one_line():
    with pytest.raises(
        OutOfMemory, match=r"^one of the captions alone does not fit in the memory of the device"
    ):
        made(BatchSize(4, "captions"), 4, SmallDevice(limit=0))


def test_other_errors_pass_and_are_not_tried_again():
    device = SmallDevice(limit=0, error=RuntimeError("Expected all tensors to be on the same device"))
    with pytest.raises(RuntimeError, match="same device"):
        made(BatchSize(4, "photos"), 4, device)
    assert device.asked == [4]


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to",
    ],
)
def test_every_way_of_saying_out_of_memory_is_known(words):
    assert is_out_of_memory(RuntimeError(words))
    assert not is_out_of_memory(ValueError(words))


def test_the_cpu_says_so_too():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_the_tensors_of_a_batch_that_did_not_fit_are_gone_before_the_next_try():
    held: list[weakref.ref[torch.Tensor]] = []

    def compute(part):
        gc.collect()
        assert not any(tensor() is not None for tensor in held), "tensors of the failed batch are still held"
        tensor = torch.zeros(part.stop - part.start)
        held.append(weakref.ref(tensor))
        if len(tensor) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return float(tensor.sum())

    assert list(BatchSize(4, "photos").batches(2, compute)) == [0.0, 0.0]
