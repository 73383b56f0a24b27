"""IP-Adapter files: `h94/IP-Adapter` publishes such files, and each branch of a checkpoint is one.

An `AdapterState` is the content of a file: {"image_proj": {...}, "ip_adapter": {"1.to_k_ip.weight": ...}}.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

from bolid_pipeline.errors import WeightsMismatch, WeightsMissing
from bolid_pipeline.pretrained.states import load_safetensors

AdapterState = dict[str, dict[str, torch.Tensor]]


def write_adapter(state: AdapterState, path: Path) -> None:
    """Write one branch as an IP-Adapter file that stock `load_ip_adapter` takes."""
    tensors = {
        f"{part}.{name}": tensor for part, of_part in state.items() for name, tensor in of_part.items()
    }
    save_file(tensors, path, metadata={"format": "pt"})


def read_adapter(path: Path) -> AdapterState:
    """Read an IP-Adapter file. Raises WeightsMissing, and WeightsMismatch if it is damaged or something else."""
    if not path.is_file():
        raise WeightsMissing(f"no adapter file {path}: give the folder of a whole BoLID checkpoint")
    if path.suffix != ".safetensors":
        raise WeightsMismatch(
            f"{path} is no .safetensors, and a pickle can run code: take the .safetensors that lies beside it"
        )
    state: AdapterState = {"image_proj": {}, "ip_adapter": {}}
    for key, tensor in load_safetensors(path)[0].items():
        part, _, name = key.partition(".")
        if part in state:
            state[part][name] = tensor
    if not all(state.values()):
        raise WeightsMismatch(f"{path} is no IP-Adapter file: it holds no image_proj.* or no ip_adapter.*")
    return state


def kind_in_words(state: AdapterState) -> str:
    """The kind of a published IP-Adapter that fits neither branch, in brackets; empty if it is unknown."""
    known = {
        "perceiver_resampler.proj_in.weight": "an IP-Adapter FaceID plus, which reads a face embedding and patches",
        "latents": "an IP-Adapter plus, which reads a photo's patches, where BoLID keeps one embedding of a photo",
        "proj.3.weight": "an IP-Adapter full-face, which reads a photo's patches",
        "proj.0.weight": "an IP-Adapter FaceID, which reads a face embedding",
    }
    kinds = [f" ({words})" for key, words in known.items() if key in state["image_proj"]]
    return kinds[0] if kinds else ""
