"""FSDP for a model of which little is trained: the frozen weights are what fills a device, so they are what is shared.

Each process keeps its share of every block and gets the others' when the block runs (FSDP2, arXiv 2304.11277). What is
trained stays whole everywhere: DDP reduces its gradients, and optimiser, running mean and checkpoints are as ever.
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
        model: what DDP is about to wrap; the U-Net is a part of it.
        unet: with both branches attached.
        device_type: `cuda` or `cpu`.
        num_processes: of the training.
    """
    mesh = init_device_mesh(device_type, (num_processes,))
    whole = {*adapters.trainable_parameters(unet), *unet.encoder_hid_proj.parameters()}
    for block in list(unet.modules()):
        if isinstance(block, BasicTransformerBlock | ResnetBlock2D):
            fully_shard(block, mesh=mesh, ignored_params=whole)
    fully_shard(unet, mesh=mesh, ignored_params=whole)
    shared = [name for name, parameter in model.named_parameters() if isinstance(parameter, DTensor)]
    # PyTorch's only way to say so.
    leave_to_fsdp: Any = DistributedDataParallel._set_params_and_buffers_to_ignore_for_model  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    leave_to_fsdp(model, shared)
