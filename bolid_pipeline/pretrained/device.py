"""The device that a model runs on."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]


def find_device(wanted: Device) -> str:
    """Return `cuda` or `cpu`; `auto` takes the GPU if the calling process sees one."""
    if wanted != "auto":
        return wanted
    return "cuda" if sees_gpu() else "cpu"


def sees_gpu() -> bool:
    """True if the calling process sees a GPU."""
    import torch  # loading the definitions must not import it

    return torch.cuda.is_available()


def drawing_dtype(device: str) -> "torch.dtype":
    """The dtype of networks that draw or measure without being trained: half precision on a GPU, float32 on the CPU.

    float16 rounds an eighth as coarsely as bfloat16, and a sampler rounds the picture in each of its steps.
    """
    import torch

    return torch.float32 if device == "cpu" else torch.float16
