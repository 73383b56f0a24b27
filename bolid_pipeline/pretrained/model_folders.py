"""Which files of a published model folder are read: safetensors alone, in full precision or as the variant `fp16`."""

from pathlib import Path

from bolid_pipeline.errors import WeightsMismatch, WeightsMissing

_PICKLES = (".bin", ".pt", ".pth", ".ckpt")


def variant_of(folder: Path) -> str | None:
    """`fp16` if the folder holds its weights in that variant only; None for files without a variant.

    Raises:
        WeightsMissing: the folder is missing, or holds no weights.
        WeightsMismatch: it holds them as pickles only, which could run code.
    """
    if not folder.is_dir():
        raise WeightsMissing(f"no model at {folder}")
    names = [path.name for path in folder.glob("*.safetensors")]
    if any(".fp16" not in name and ".non_ema" not in name for name in names):
        return None
    if any(".fp16" in name for name in names):
        return "fp16"
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
    if pickles:
        raise WeightsMismatch(
            f"{folder} holds {pickles[0]} but no .safetensors; a pickle can run code and is not opened: fetch the "
            ".safetensors of the same model, or convert it"
        )
    raise WeightsMissing(f"{folder} holds no .safetensors")
