"""The frozen networks of the losses on generated pictures: a decoder, a pose network, a CLIP."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.pretrained.weights import Weights
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.losses.clip import ClipSimilarity
from bolid_pipeline.training.pose_network import open_pose_network


@dataclass(frozen=True, kw_only=True)
class LossNetworkFiles:
    """Weights of the networks; only those that a term needs are opened."""

    pose: Weights | None = None
    clip: Path | None = None


class LossNetworks(nn.Module):
    """Decoder, pose network and CLIP, frozen; a network that no term needs is None.

    Args:
        config: its terms decide what is needed.
        files: the weights of the networks.
        vae: the base model's autoencoder.

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
        self._scaling_factor: float = vae.config.scaling_factor
        self.vae = vae

    def decode(self, latents_BCHW: torch.Tensor) -> torch.Tensor:
        """Scaled latents to pictures (B, 3, H, W) in [0, 1], with gradient."""
        unscaled_BCHW = latents_BCHW / self._scaling_factor
        return self.vae.decode(unscaled_BCHW.to(self.vae.dtype)).sample.float().mul(0.5).add(0.5).clamp(0, 1)
