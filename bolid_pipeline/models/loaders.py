"""Loading and saving of what BoLID adds to a base model: two branches, a body bank and up to three encoders.

A checkpoint folder holds `ref_adapter.safetensors`, `body_adapter.safetensors`, `body_encoder/`, and, where training
made them, `body_bank.safetensors` with its index, `ref_encoder/` and `body_prior/`.
"""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from diffusers import DiffusionPipeline, ModelMixin, PriorTransformer, UNet2DConditionModel
from diffusers.loaders.ip_adapter import IPAdapterMixin

from bolid_pipeline.errors import WeightsMissing
from bolid_pipeline.models import adapters
from bolid_pipeline.models.adapter_files import read_adapter, write_adapter
from bolid_pipeline.models.body_bank import BANK_FILE, BodyBank
from bolid_pipeline.models.body_encoder import BodyEncoder
from bolid_pipeline.models.reference_encoder import ReferenceEncoder
from bolid_pipeline.models.scales import BlockScale
from bolid_pipeline.pretrained.model_folders import load_network

REF_ADAPTER_FILE = "ref_adapter.safetensors"
BODY_ADAPTER_FILE = "body_adapter.safetensors"
BODY_ENCODER_FOLDER = "body_encoder"
REF_ENCODER_FOLDER = "ref_encoder"
BODY_PRIOR_FOLDER = "body_prior"

ENCODERS: dict[str, type[ModelMixin]] = {
    BODY_ENCODER_FOLDER: BodyEncoder,
    REF_ENCODER_FOLDER: ReferenceEncoder,
    BODY_PRIOR_FOLDER: PriorTransformer,
}
"""BoLID's own networks. Each name is both the folder in a checkpoint and the component of a pipeline."""


class BoLIDLoaderMixin(DiffusionPipeline, IPAdapterMixin):
    """Load a BoLID checkpoint into a Stable Diffusion or SDXL pipeline, and save it with the pipeline.

    A class lists it before the stock pipeline among its bases (diffusers' own loader mixins come after it), because it
    replaces `from_pretrained` and `save_pretrained`: the stock ones silently drop adapters.
    """

    unet: UNet2DConditionModel
    body_encoder: BodyEncoder | None
    ref_encoder: ReferenceEncoder | None
    body_prior: PriorTransformer | None
    body_bank: BodyBank | None = None
    call_defaults: Mapping[str, Any] = MappingProxyType({})
    """Arguments of a call that names none: steps and guidance of a few-step LoRA, where one is fused."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | PathLike[str], **kwargs: Any) -> Self:
        """Load a diffusers folder, with the branches and the body bank where it holds them.

        Args:
            pretrained_model_name_or_path: a folder that `save_pretrained` wrote, or one of a plain base model.
            kwargs: options of diffusers' `from_pretrained`.
        """
        pipe = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        folder = Path(pretrained_model_name_or_path)
        if (folder / REF_ADAPTER_FILE).is_file():
            pipe.load_branches(folder)
        return pipe

    def save_pretrained(self, save_directory: str | PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Write diffusers' folder with the branches and the body bank beside the base model's parts.

        Args:
            save_directory: the folder.
            args: options of diffusers' `save_pretrained`.
            kwargs: likewise.
        """
        if not adapters.is_attached(self.unet):
            super().save_pretrained(save_directory, *args, **kwargs)
            return
        with adapters.detached(self.unet):
            super().save_pretrained(save_directory, *args, **kwargs)
        save_branches(Path(save_directory), self.unet, self.body_bank)

    def load_bolid(self, checkpoint: str | PathLike[str]) -> None:
        """Attach everything that a checkpoint folder holds.

        Raises:
            WeightsMissing: the folder lacks the body encoder or a branch.
            WeightsMismatch: a file is damaged, or the branches were made for another base model.
        """
        folder = Path(checkpoint)
        if not (folder / BODY_ENCODER_FOLDER).is_dir():
            raise WeightsMissing(
                f"{folder} lacks {BODY_ENCODER_FOLDER}/: give the folder of a BoLID checkpoint"
            )
        for name, model_class in ENCODERS.items():
            encoder = None
            if (folder / name).is_dir():
                encoder = load_network(
                    model_class, folder / name, dtype=self.unet.dtype, low_cpu_mem_usage=False
                ).to(self.device)
            self.register_modules(**{name: encoder})
        self.load_branches(folder)

    def load_branches(self, folder: Path) -> None:
        """Attach the two branches of a folder, and its body bank if there is one, but no encoder.

        Raises:
            WeightsMissing: a branch's file is missing.
            WeightsMismatch: the branches were made for another base model.
        """
        adapters.attach(
            self.unet,
            read_adapter(folder / REF_ADAPTER_FILE),
            read_adapter(folder / BODY_ADAPTER_FILE),
        )
        self.body_bank = BodyBank.load(folder) if (folder / BANK_FILE).is_file() else None

    def set_ip_adapter_scale(self, scale: BlockScale | list[BlockScale]) -> None:
        """Set both branches' scales: [ref, body], or one for both, which is what stock callbacks pass."""
        super().set_ip_adapter_scale(scale if isinstance(scale, list) else [scale, scale])


def save_branches(folder: Path, unet: UNet2DConditionModel, body_bank: BodyBank | None) -> None:
    """Write both branches' files, and the body bank if there is one, into a folder."""
    ref_state, body_state = adapters.adapter_states(unet)
    write_adapter(ref_state, folder / REF_ADAPTER_FILE)
    write_adapter(body_state, folder / BODY_ADAPTER_FILE)
    if body_bank is not None:
        body_bank.save(folder)
