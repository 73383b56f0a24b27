"""What a machine has: its GPU, memory and room on the disk."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

GIB = 2**30
_SIDE = 8192
_REPEATS = 20


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine that a training is planned for; sizes in GiB.

    Attributes:
        gpu: name of the GPU; None without one.
        gpu_gib: memory of the GPU, 0 without one.
        matmul_tflops: TFLOP/s of matrix products in bfloat16; None if it is not known.
        ram_gib: main memory.
        disk_gib: free room on the disk of the data folder.
    """

    gpu: str | None
    gpu_gib: float
    matmul_tflops: float | None
    ram_gib: float
    disk_gib: float


def this_machine(data_folder: Path) -> Machine:
    """This machine, with the disk of the folder, which need not exist; its GPU is timed for a second."""
    import torch  # takes seconds, and no other part of planning needs it

    ram = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    disk = shutil.disk_usage(_existing(data_folder)).free / GIB
    if not torch.cuda.is_available():
        return Machine(gpu=None, gpu_gib=0.0, matmul_tflops=None, ram_gib=ram, disk_gib=disk)
    properties = torch.cuda.get_device_properties(0)
    return Machine(
        gpu=properties.name,
        gpu_gib=properties.total_memory / GIB,
        matmul_tflops=_matmul_tflops(),
        ram_gib=ram,
        disk_gib=disk,
    )


def _matmul_tflops() -> float:
    """TFLOP/s of products of two square matrices in bfloat16 on the GPU."""
    import torch

    matrix = torch.ones(_SIDE, _SIDE, dtype=torch.bfloat16, device="cuda")
    torch.matmul(matrix, matrix)  # the first product also loads the library
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(_REPEATS):
        torch.matmul(matrix, matrix)
    torch.cuda.synchronize()
    return _REPEATS * 2 * _SIDE**3 / (time.perf_counter() - started) / 1e12


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(each for each in (folder, *folder.parents) if each.exists())
