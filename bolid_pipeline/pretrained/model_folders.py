"""The network of a published model folder: from safetensors alone, in full precision or as the variant `fp16`."""

from pathlib import Path
from typing import Any

from bolid_pipeline.errors import WeightsMismatch, WeightsMissing
from bolid_pipeline.pretrained.loading import loading

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5")


def load_network(model_class: Any, folder: Path, **options: Any) -> Any:
    """The frozen network of a folder, on the CPU.

    Args:
        model_class: a class of transformers or diffusers, or an `AutoModelFor...`.
        folder: as `save_pretrained` lays it out; of a repository with several variants, all may lie in it.
        options: options of `from_pretrained`, such as `dtype`.

    Raises:
        WeightsMissing: the folder is missing, or holds no weights.
        WeightsMismatch: it is damaged, lacks some of the network's weights, or holds them as pickles only.
    """
    variant = _variant_of(folder)
    with loading(folder):
        network, report = model_class.from_pretrained(
            folder,
            variant=variant,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **options,
        )
    # Both libraries fill a gap with random numbers and a warning.
    if missing := sorted(report["missing_keys"]):
        raise WeightsMismatch(f"{folder} lacks {len(missing)} weights of its network, such as {missing[0]}")
    return network.eval().requires_grad_(False)


def _variant_of(folder: Path) -> str | None:
    """`fp16` if the folder holds its weights in that variant only; None for files without a variant."""
    if not folder.is_dir():
        raise WeightsMissing(f"no model at {folder}")
    names = [path.name for path in folder.glob("*.safetensors")]
    if any(".fp16" not in name and ".non_ema" not in name for name in names):
        return None
    if any(".fp16" in name for name in names):
        return "fp16"
    if pickles := sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES):
        raise WeightsMismatch(
            f"{folder} holds {pickles[0]} but no .safetensors; a pickle can run code and is not opened: fetch the "
            ".safetensors of the same model, or convert it"
        )
    raise WeightsMissing(f"{folder} holds no .safetensors")
