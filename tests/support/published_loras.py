"""LoRAs for few steps as they are published, with random weights: the names of LCM-LoRA and Hyper-SD, any size.

Both come from the same script of diffusers (`get_module_kohya_state_dict`): rank 64 at all layers of the U-Net but its
ends and time embedding. LCM-LoRA has float16 and a metadata entry, Hyper-SD float32. The sizes of the published files
follow to the byte, see `published_size`; the header of LCM-LoRA for SD 1.5 too.
"""

import json
from math import prod
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

_TARGETS = (
    *("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"),
    *("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj"),
)
ALPHA = 8.0
METADATA = {"format": "pt"}


def lora_shapes(unet: UNet2DConditionModel, rank: int) -> dict[str, tuple[int, ...]]:
    """Name in a file -> shape."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in unet.named_modules():
        if any(f".{name}".endswith(f".{target}") for target in _TARGETS):
            layer, (out_dim, *in_shape) = f"lora_unet_{name.replace('.', '_')}", module.weight.shape
            shapes[f"{layer}.lora_down.weight"] = (rank, *in_shape)
            shapes[f"{layer}.lora_up.weight"] = (out_dim, rank, *(1 for _ in in_shape[1:]))
            shapes[f"{layer}.alpha"] = ()
    return shapes


def save_few_step_lora(path: Path, unet: UNet2DConditionModel, rank: int = 4) -> Path:
    """Write a Hyper-SD if the file is named so, else an LCM-LoRA."""
    generator = torch.Generator().manual_seed(7)
    is_hyper = path.name.startswith("Hyper-SD")
    state = {
        name: 0.3 * torch.randn(*shape, generator=generator) if shape else torch.tensor(ALPHA)
        for name, shape in lora_shapes(unet, rank).items()
    }
    dtype = torch.float32 if is_hyper else torch.float16
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: tensor.to(dtype) for name, tensor in state.items()}, path, None if is_hyper else METADATA
    )
    return path


def published_size(unet: UNet2DConditionModel, dtype: str, metadata: dict[str, str] | None) -> int:
    """Bytes of the file for a U-Net, which may be on the meta device; `dtype` is F16 or F32."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, shape in sorted(lora_shapes(unet, rank=64).items()):
        start, end = end, end + prod(shape) * {"F16": 2, "F32": 4}[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    length = len(json.dumps(header, separators=(",", ":")))
    return 8 + -(-length // 8) * 8 + end
