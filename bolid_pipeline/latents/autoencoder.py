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
from bolid_pipeline.pretrained.device import drawing_dtype
from bolid_pipeline.pretrained.loading import loading
from bolid_pipeline.pretrained.model_folders import load_network


class LatentEncoder:
    """The encoder half of an `AutoencoderKL`. It gives the mean of the posterior, so that a latent is reproducible."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        """Load the VAE of `folder` in float32 (SDXL's overflows in float16). Raises WeightsMissing.

        On a GPU cuDNN's convolutions use TF32, whose mantissa has the 10 bits of the latents' float16.
        """
        vae = load_network(AutoencoderKL, folder, torch_dtype=torch.float32, low_cpu_mem_usage=False)
        self._vae = vae.to(device)
        if device != "cpu":
            self._vae.to(memory_format=torch.channels_last)  # the layout of a GPU's fast convolutions
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
        """Load the tower of `folder`, in half precision on a GPU, and its image processor. Raises WeightsMissing."""
        if not feature_extractor.is_dir():
            raise WeightsMissing(f"no image processor at {feature_extractor}")
        with loading(feature_extractor):
            self._processor = CLIPImageProcessor.from_pretrained(feature_extractor, local_files_only=True)
        self._dtype = drawing_dtype(device)
        self._model = load_network(CLIPVisionModelWithProjection, folder, dtype=self._dtype).to(device)
        self._device = device

    def __call__(self, images: Sequence[Rgb]) -> NDArray[np.float16]:
        """(B, D) projected embeddings, not normalised, of (H, W, 3) uint8 images of any sizes."""
        return self.embed([self.prepare(image) for image in images])

    def prepare(self, image: Rgb) -> NDArray[np.float32]:
        """(3, S, S): an (H, W, 3) uint8 image as the tower sees it. This is the processor's share of the work."""
        return self._processor(images=image, return_tensors="np")["pixel_values"][0]

    @torch.inference_mode()
    def embed(self, prepared: Sequence[NDArray[np.float32]]) -> NDArray[np.float16]:
        """(B, D) projected embeddings, not normalised, of prepared images."""
        pixels_B3SS = torch.from_numpy(np.stack(prepared)).to(self._device, self._dtype)
        return self._model(pixel_values=pixels_B3SS).image_embeds.half().cpu().numpy()
