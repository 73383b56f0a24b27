"""The frozen networks of the losses on generated pictures: a decoder, a pose network, a CLIP."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderTiny
from torch import nn

from bolid_pipeline.errors import ConfigurationError, WeightsMismatch
from bolid_pipeline.pretrained.model_folders import load_network
from bolid_pipeline.pretrained.weights import Weights
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.losses.clip import ClipSimilarity
from bolid_pipeline.training.pose_network import open_pose_network


@dataclass(frozen=True, kw_only=True)
class LossNetworkFiles:
    """Weights of the networks; only those that a term needs are opened."""

    pose: Weights | None = None
    clip: Path | None = None
    decoder: Path | None = None
    """Folder of an `AutoencoderTiny` that decodes in place of the base model's autoencoder, in a tenth of the time."""


class LossNetworks(nn.Module):
    """Decoder, pose network and CLIP, frozen; a network that no term needs is None.

    Args:
        config: its terms decide what is needed.
        files: the weights of the networks.
        vae: the base model's autoencoder, which decodes where the files name no other decoder.

    Raises:
        ConfigurationError: a term has a weight but no network.
        WeightsMissing, WeightsMismatch: a network cannot be opened.
    """

    def __init__(self, config: TrainingConfig, files: LossNetworkFiles, vae: Any) -> None:
        super().__init__()
        if (config.needs_pose and files.pose is None) or (config.needs_clip and files.clip is None):
            raise ConfigurationError(
                "L_id needs a pose network and L_CLIP a CLIP: name their weights, or weigh them 0"
            )
        self.pose = (
            open_pose_network(files.pose, config.pose_image_size_px)
            if config.needs_pose and files.pose
            else None
        )
        self.clip = ClipSimilarity(files.clip) if config.needs_clip and files.clip else None
        self.decoder: Any = vae if files.decoder is None else _tiny_decoder(files.decoder, vae)
        if config.hardware.gradient_checkpointing:
            self.decoder.enable_gradient_checkpointing()

    def decode(self, latents_BCHW: torch.Tensor) -> torch.Tensor:
        """Scaled latents to pictures (B, 3, H, W) in [0, 1], with gradient."""
        unscaled_BCHW = latents_BCHW / self.decoder.config.scaling_factor
        # Autocast would compute each norm of a half-precision decoder in float32, which takes twice the memory.
        with torch.autocast(unscaled_BCHW.device.type, enabled=False):
            pixels_B3HW = self.decoder.decode(unscaled_BCHW.to(self.decoder.dtype)).sample
        return pixels_B3HW.float().mul(0.5).add(0.5).clamp(0, 1)


def _tiny_decoder(folder: Path, vae: Any) -> AutoencoderTiny:
    """The decoder of a folder, frozen. Raises WeightsMissing, WeightsMismatch."""
    decoder = load_network(AutoencoderTiny, folder, low_cpu_mem_usage=False)
    if decoder.config.latent_channels != vae.config.latent_channels:
        raise WeightsMismatch(
            f"{folder} decodes latents of {decoder.config.latent_channels} channels; the base model's have "
            f"{vae.config.latent_channels}"
        )
    return decoder
