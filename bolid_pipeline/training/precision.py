"""The precision of a training: float32 on the CPU, mixed with bfloat16 on a GPU.

In mixed precision the frozen weights are bfloat16, which halves their memory and saves a cast at each use. What is
trained stays float32, because small steps of the optimiser would be rounded away; autocast casts it at each use.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Literal

import torch
from torch import nn

from bolid_pipeline.training.branches import Branches
from bolid_pipeline.training.config import HardwareConfig
from bolid_pipeline.training.loss_networks import LossNetworks
from bolid_pipeline.training.text_encoders import TextEncoders

Precision = Literal["32-true", "bf16-mixed"]


def precision_of(hardware: HardwareConfig) -> Precision:
    """The precision that the settings ask for, as Lightning names it; "auto" depends on this machine."""
    if hardware.precision != "auto":
        return hardware.precision
    is_supported = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bf16-mixed" if is_supported else "32-true"


def halve_frozen_weights(branches: Branches, networks: LossNetworks, texts: TextEncoders) -> None:
    """Make bfloat16 of the frozen weights of U-Net, text encoders, decoder and CLIP, in place.

    The pose network stays float32: its keypoints are pixels of a square of 640, where bfloat16 is 4 px coarse.
    """
    halve_unet(branches.unet, branches.trainable_parameters())
    _halve(texts.parameters())
    _halve(networks.decoder.parameters())
    if networks.clip is not None:
        _halve(networks.clip.parameters())


def halve_unet(unet: nn.Module, trained: Iterable[nn.Parameter]) -> None:
    """Make bfloat16 of the weights of all layers that hold no trained one, and of what their norms compute."""
    kept = set(map(id, trained))
    for layer in unet.modules():
        own = list(layer.parameters(recurse=False))
        if not kept.isdisjoint(map(id, own)):
            continue
        _halve(own)
        if isinstance(layer, nn.GroupNorm | nn.LayerNorm):
            # Autocast would compute it in float32: twice the memory for its input, its output and what follows. The
            # kernel sums up in float32 as it is.
            setattr(layer, "forward", _without_autocast(layer.forward))  # noqa: B010 - a method, to a type checker


def _halve(parameters: Iterable[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.data = parameter.data.to(torch.bfloat16)


def _without_autocast(
    forward: Callable[[torch.Tensor], torch.Tensor],
) -> Callable[[torch.Tensor], torch.Tensor]:
    @wraps(forward)
    def run(states: torch.Tensor) -> torch.Tensor:
        with torch.autocast(states.device.type, enabled=False):
            return forward(states)

    return run
