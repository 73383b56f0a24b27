"""The machine and the code that figures are of."""

import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import torch

from bolid_pipeline.training.measurements import Machine

_SIDE = 8192


def describe_machine(command: str, root: Path) -> Machine:
    """What is measured here: on a CPU, with its name in place of the GPU's and memory of 1 GiB."""
    is_gpu = torch.cuda.is_available()
    return Machine(
        gpu=torch.cuda.get_device_name() if is_gpu else "no GPU",
        memory_gib=torch.cuda.mem_get_info()[1] / 2**30 if is_gpu else 1.0,
        torch=torch.__version__,
        commit=_commit(root),
        date=datetime.now(UTC).date().isoformat(),
        command=command,
        matmul_tflops=_matmul_tflops() if is_gpu else 0.0,
    )


def _matmul_tflops() -> float:
    """TFLOP/s of bfloat16 matrix products of random numbers."""
    left = torch.randn(_SIDE, _SIDE, device="cuda", dtype=torch.bfloat16)
    right = torch.randn_like(left)
    for _ in range(3):
        left @ right
    torch.cuda.synchronize()
    started, count = time.perf_counter(), 20
    for _ in range(count):
        left @ right
    torch.cuda.synchronize()
    return round(count * 2 * _SIDE**3 / (time.perf_counter() - started) / 1e12, 1)


def _commit(root: Path) -> str:
    """Of this repository, with `+` where files were changed; the packed code's note where there is no git."""
    note = root / "gpu_pack" / "COMMIT"
    if note.is_file():
        return note.read_text("utf-8").strip()

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    try:
        return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if git("status", "--short") else "")
    except FileNotFoundError:
        return "unknown"
