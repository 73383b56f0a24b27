"""The trained networks: both branches of the U-Net, the body encoder, and the reference encoder if there is one."""

import math
from pathlib import Path

import torch
from torch import nn

from bolid_pipeline.models import adapters
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
from bolid_pipeline.training.config import TrainingConfig


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
        if config.hardware.compile_unet:
            self.unet.compile()
        self._unfreeze()

    def trainable_parameters(self) -> list[nn.Parameter]:
        """All trained parameters, in a fixed order."""
        encoders = [self.body_encoder] if self.ref_encoder is None else [self.body_encoder, self.ref_encoder]
        of_encoders = [parameter for encoder in encoders for parameter in encoder.parameters()]
        return [*adapters.trainable_parameters(self.unet), *of_encoders]

    def load(self, checkpoint: Path) -> None:
        """Copy the weights of a checkpoint folder whose branches and encoders have the same sizes.

        Raises:
            WeightsMissing: a part of the checkpoint is missing.
        """
        adapters.attach(
            self.unet,
            adapters.read_adapter(checkpoint / REF_ADAPTER_FILE),
            adapters.read_adapter(checkpoint / BODY_ADAPTER_FILE),
        )
        encoder = BodyEncoder.from_pretrained(checkpoint / BODY_ENCODER_FOLDER, low_cpu_mem_usage=False)
        self.body_encoder.load_state_dict(encoder.state_dict())
        if self.ref_encoder is not None and (checkpoint / REF_ENCODER_FOLDER).is_dir():
            of_refs = ReferenceEncoder.from_pretrained(
                checkpoint / REF_ENCODER_FOLDER, low_cpu_mem_usage=False
            )
            self.ref_encoder.load_state_dict(of_refs.state_dict())
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
