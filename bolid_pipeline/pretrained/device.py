"""The device that a model runs on."""

from typing import Literal

Device = Literal["auto", "cpu", "cuda"]


def find_device(wanted: Device) -> str:
    """Return `cuda` or `cpu`; `auto` takes the GPU if the calling process sees one."""
    if wanted != "auto":
        return wanted
    import torch  # loading the definitions must not import it

    return "cuda" if torch.cuda.is_available() else "cpu"
