"""Pictures to latents, by the frozen VAE, and to image embeddings, by the frozen CLIP.

Shapes: B pictures of H x W pixels, latents C x h x w, embedding width D.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from bolid_pipeline.errors import WeightsMissing
from bolid_pipeline.images.decoding import Rgb
from bolid_pipeline.pretrained.loading import loading
from bolid_pipeline.pretrained.model_folders import load_network


class LatentEncoder:
    """The encoder half of an `AutoencoderKL`. It gives the mean of the posterior, so that a latent is reproducible."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        """Load the VAE of `folder` in float32 (SDXL's overflows in float16). Raises WeightsMissing."""
        vae = load_network(AutoencoderKL, folder, torch_dtype=torch.float32, low_cpu_mem_usage=False)
        self._vae = vae.to(device)
        self._device = device

    @torch.inference_mode()
    def __call__(self, images: Sequence[Rgb]) -> NDArray[np.float16]:
        """(B, C, h, w) unscaled latents of equally large (H, W, 3) uint8 images."""
        pixels_BHW3 = torch.from_numpy(np.stack(images)).to(self._device)
        inputs_B3HW = pixels_BHW3.permute(0, 3, 1, 2).float() / 127.5 - 1
        return self._vae.encode(inputs_B3HW).latent_dist.mean.half().cpu().numpy()


class ImageEncoder:
    """A CLIP's vision tower with its projection."""

    def __init__(self, folder: Path, feature_extractor: Path, device: str = "cpu") -> None:
        """Load the tower of `folder` in float32 and its image processor. Raises WeightsMissing."""
        if not feature_extractor.is_dir():
            raise WeightsMissing(f"no image processor at {feature_extractor}")
        with loading(feature_extractor):
            self._processor = CLIPImageProcessor.from_pretrained(feature_extractor, local_files_only=True)
        model = load_network(CLIPVisionModelWithProjection, folder, dtype=torch.float32)
        self._model = model.to(device)
        self._device = device

    @torch.inference_mode()
    def __call__(self, images: Sequence[Rgb]) -> NDArray[np.float16]:
        """(B, D) projected embeddings, not normalised, of (H, W, 3) uint8 images of any sizes."""
        pixels = self._processor(images=list(images), return_tensors="pt")["pixel_values"].to(self._device)
        return self._model(pixel_values=pixels).image_embeds.half().cpu().numpy()
