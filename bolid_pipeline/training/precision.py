"""The precision of a training: float32 on the CPU, mixed with bfloat16 on a GPU.

In mixed precision the frozen weights are bfloat16, which halves their memory and saves a cast at each use. What is
trained stays float32, because small steps of the optimiser would be rounded away; autocast casts it at each use.
"""

from collections.abc import Iterable
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
    trained = {id(parameter) for parameter in branches.trainable_parameters()}
    for module in branches.unet.modules():
        own = list(module.parameters(recurse=False))
        if trained.isdisjoint(map(id, own)):
            _halve(own)
    _halve(texts.parameters())
    _halve(networks.decoder.parameters())
    if networks.clip is not None:
        _halve(networks.clip.parameters())


def _halve(parameters: Iterable[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.data = parameter.data.to(torch.bfloat16)
