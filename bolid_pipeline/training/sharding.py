"""FSDP for the frozen weights alone: they fill most of a device, while the trained weights are few.

Each process keeps its share of every block and fetches the other shares when the block runs (FSDP2, arXiv 2304.11277).
Trained weights stay whole in every process, so DDP, optimiser, running mean and checkpoints work as without sharding.
"""

from typing import Any

from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from bolid_pipeline.models import adapters


def share_frozen_weights(model: nn.Module, unet: Any, device_type: str, num_processes: int) -> None:
    """Split the U-Net's frozen weights among all processes, in place. Call it in all of them.

    Args:
        model: the module that DDP will wrap; the U-Net is a part of it.
        unet: the U-Net with both branches attached.
        device_type: `cuda` or `cpu`.
        num_processes: number of processes of the training.
    """
    mesh = init_device_mesh(device_type, (num_processes,))
    whole = {*adapters.trainable_parameters(unet), *unet.encoder_hid_proj.parameters()}
    for block in list(unet.modules()):
        if isinstance(block, BasicTransformerBlock | ResnetBlock2D):
            fully_shard(block, mesh=mesh, ignored_params=whole)
    fully_shard(unet, mesh=mesh, ignored_params=whole)
    shared = [name for name, parameter in model.named_parameters() if isinstance(parameter, DTensor)]
    # DDP must not reduce the sharded weights; PyTorch offers no public way to exclude them.
    leave_to_fsdp: Any = DistributedDataParallel._set_params_and_buffers_to_ignore_for_model  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    leave_to_fsdp(model, shared)
