"""The device that a model runs on."""

from typing import Literal

Device = Literal["auto", "cpu", "cuda"]


def find_device(wanted: Device) -> str:
    """`cuda` or `cpu`; for `auto` the GPU of the machine that asks, where it has one."""
    if wanted != "auto":
        return wanted
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
