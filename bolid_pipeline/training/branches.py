"""The trained networks: both branches of the U-Net, the body encoder, and the reference encoder if there is one."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import nn

from bolid_pipeline.errors import WeightsMismatch, WeightsMissing
from bolid_pipeline.models import adapters
from bolid_pipeline.models.adapter_files import read_adapter
from bolid_pipeline.models.base import BaseModel
from bolid_pipeline.models.body_bank import BodyBank
from bolid_pipeline.models.body_encoder import BodyEncoder
from bolid_pipeline.models.loaders import (
    BODY_ADAPTER_FILE,
    BODY_ENCODER_FOLDER,
    REF_ADAPTER_FILE,
    REF_ENCODER_FOLDER,
    save_branches,
)
from bolid_pipeline.models.reference_encoder import ReferenceEncoder
from bolid_pipeline.pretrained.model_folders import load_network
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.denoiser import Denoiser


class Branches(nn.Module):
    """The U-Net with new branches attached, and their encoders; everything else of the U-Net stays frozen.

    Args:
        config: settings of the run; their seed decides the new weights.
        base: the base model, frozen; its U-Net gets the branches attached, in place.
        image_embed_dim: length of the reference photo's CLIP embedding.
    """

    def __init__(self, config: TrainingConfig, base: BaseModel, image_embed_dim: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.body_encoder = _new_body_encoder(config, base)
            self.ref_encoder = _new_ref_encoder(config, image_embed_dim)
            self.unet = base.unet
            adapters.attach(
                self.unet,
                adapters.new_ref_state(self.unet, image_embed_dim),
                adapters.new_body_state(
                    self.unet, config.body.c_body_dim, config.body.num_tokens, is_dense=config.body.is_dense
                ),
            )
        if config.hardware.gradient_checkpointing:
            self.unet.enable_gradient_checkpointing()
        self.denoiser = Denoiser(self.unet)
        self._unfreeze()

    def trainable_parameters(self) -> list[nn.Parameter]:
        """All trained parameters, in a fixed order."""
        encoders = [self.body_encoder] if self.ref_encoder is None else [self.body_encoder, self.ref_encoder]
        of_encoders = [parameter for encoder in encoders for parameter in encoder.parameters()]
        return [*adapters.trainable_parameters(self.unet), *of_encoders]

    def load(self, start: Path) -> None:
        """Copy weights of the same sizes: all of a checkpoint folder, or an IP-Adapter file's to the reference branch.

        Raises:
            WeightsMissing: a part of the checkpoint is missing.
            WeightsMismatch: the weights are damaged, of another kind, or of other sizes than this training's.
        """
        if start.is_dir():
            ref = read_adapter(start / REF_ADAPTER_FILE)
            body = read_adapter(start / BODY_ADAPTER_FILE)
            _load_encoder(self.body_encoder, start / BODY_ENCODER_FOLDER)
            if self.ref_encoder is not None and (start / REF_ENCODER_FOLDER).is_dir():
                _load_encoder(self.ref_encoder, start / REF_ENCODER_FOLDER)
        else:
            ref, body = read_adapter(start), adapters.adapter_states(self.unet)[1]
        wanted = _projection_sizes(self.unet)
        try:
            adapters.attach(self.unet, ref, body)
        except WeightsMismatch as error:
            raise WeightsMismatch(f"training cannot start from {start}: {error}") from error
        _check_sizes(start, _projection_sizes(self.unet), wanted)
        self._unfreeze()

    def save(self, checkpoint: Path, bank: BodyBank) -> None:
        """Write all trained networks and the body bank, as `load_bolid` and `load` read them."""
        self.body_encoder.save_pretrained(checkpoint / BODY_ENCODER_FOLDER)
        if self.ref_encoder is not None:
            self.ref_encoder.save_pretrained(checkpoint / REF_ENCODER_FOLDER)
        save_branches(checkpoint, self.unet, bank)

    def _unfreeze(self) -> None:
        for parameter in self.trainable_parameters():
            parameter.requires_grad_(True)


def _load_encoder(encoder: BodyEncoder | ReferenceEncoder, folder: Path) -> None:
    """Copy the weights of a checkpoint's encoder. Raises WeightsMissing, WeightsMismatch."""
    if not folder.is_dir():
        raise WeightsMissing(
            f"{folder} is missing: training starts from the folder of a whole BoLID checkpoint"
        )
    trained = load_network(type(encoder), folder, low_cpu_mem_usage=False).state_dict()
    sizes = {name: tensor.shape for name, tensor in encoder.state_dict().items()}
    _check_sizes(folder, {name: tensor.shape for name, tensor in trained.items()}, sizes)
    encoder.load_state_dict(trained)


def _projection_sizes(unet: UNet2DConditionModel) -> dict[str, torch.Size]:
    """The shapes of both branches' projections by name; layers 0 and 1 are the reference's and the body's."""
    return {name: tensor.shape for name, tensor in unet.encoder_hid_proj.state_dict().items()}


def _check_sizes(place: Path, found: Mapping[str, torch.Size], wanted: Mapping[str, torch.Size]) -> None:
    for name in sorted(wanted.keys() | found.keys()):
        of_file, of_training = (sizes.get(name) for sizes in (found, wanted))
        if of_file != of_training:
            raise WeightsMismatch(
                f"training cannot start from {place}: {name} has the shape {_shape(of_file)} there, and "
                f"{_shape(of_training)} by this training's settings and latents"
            )


def _shape(size: torch.Size | None) -> str:
    return "none" if size is None else str(tuple(size))


def _new_body_encoder(config: TrainingConfig, base: BaseModel) -> BodyEncoder:
    return BodyEncoder(
        latent_channels=base.vae.config.latent_channels,
        scaling_factor=base.vae.config.scaling_factor,
        grid=config.body.grid,
        width=config.body.width,
        num_layers=config.body.num_layers,
        c_body_dim=config.body.c_body_dim,
        num_dense_tokens=config.body.num_tokens if config.body.is_dense else None,
    )


def _new_ref_encoder(config: TrainingConfig, image_embed_dim: int) -> ReferenceEncoder | None:
    if not config.ref_encoder_layers:
        return None
    num_heads = math.gcd(image_embed_dim, 8)
    return ReferenceEncoder(image_embed_dim, num_layers=config.ref_encoder_layers, num_heads=num_heads)
