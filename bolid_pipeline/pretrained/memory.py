"""Batches that fit the memory of the device: one that does not fit is halved and tried again.

`accelerate.find_executable_batch_size` starts the whole work again with a smaller size; here the finished batches stay.
Without torch at the top, because loading the definitions must not import it.
"""

import gc
import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

from bolid_pipeline.errors import OutOfMemory

_logger = logging.getLogger(__name__)

T = TypeVar("T")

_OUT_OF_MEMORY = (
    "out of memory",  # CUDA and its libraries, where they allocate past PyTorch's own allocator
    "_STATUS_ALLOC_FAILED",  # cuBLAS and cuDNN
    "can't allocate memory",  # the CPU's allocator
)


class BatchSize:
    """The size of batches, halved for good when one does not fit in the device's memory.

    size = BatchSize(256, "captions")
    embeds = torch.cat([*size.batches(len(captions), lambda part: encode(captions[part]))])
    """

    def __init__(self, largest: int, what: str) -> None:
        """Start with `largest` items in a batch; `what` names them in messages, in the plural."""
        self.size = largest
        self._what = what

    def batches(self, count: int, compute: Callable[[slice], T]) -> Iterator[T]:
        """What `compute` makes of each part of `range(count)`, in order.

        Args:
            count: the number of items.
            compute: takes a slice of the items. A part that does not fit is computed again in smaller parts, so a call
                that runs out of memory must leave nothing behind; random numbers are drawn per item, not per call.

        Raises:
            OutOfMemory: a single item does not fit.
        """
        start = 0
        while start < count:
            part = slice(start, min(start + self.size, count))
            try:
                made = compute(part)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            else:
                yield made
                start = part.stop
                continue
            # Only here, past the `except`, is the error gone, and with it the frames that hold the batch's tensors.
            self._halve(part.stop - part.start)

    def _halve(self, num_items: int) -> None:
        free_memory()
        if num_items == 1:
            raise OutOfMemory(
                f"one of the {self._what} alone does not fit in the memory of the device ({_device_memory()}): "
                "end what else runs on it, or use a larger one"
            )
        self.size = num_items // 2
        _logger.warning(
            "%s: %d at once do not fit in the memory of the device; going on with %d",
            self._what,
            num_items,
            self.size,
        )


def is_out_of_memory(error: BaseException) -> bool:
    """True if the error says that the device, or the machine, has no memory left for a tensor."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def free_memory() -> None:
    """Give the device back the memory of tensors that nothing uses any more, so that the next model finds room."""
    import torch

    gc.collect()  # models hold themselves in circles
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _device_memory() -> str:
    import torch

    if not torch.cuda.is_initialized():
        return "the CPU"
    free, total = torch.cuda.mem_get_info()
    return f"{torch.cuda.get_device_name()}: {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
