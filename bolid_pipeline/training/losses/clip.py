"""L_CLIP = 1 - cos(CLIP(x_gen), CLIP(tau)): the generated picture still shows what its caption says.

Shape suffixes: B pictures, H W pixels, T text positions, D embedding.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

from bolid_pipeline.pretrained.loading import loading
from bolid_pipeline.pretrained.model_folders import load_network


class ClipSimilarity(nn.Module):
    """A frozen CLIP whose picture side passes gradients on to the pictures.

    Pictures are squashed to the tower's square: a centre crop would cut head and feet off a tall one.

    Args:
        folder: a `CLIPModel` with its tokenizer and image processor.

    Raises:
        WeightsMissing, WeightsMismatch: the folder is missing, or damaged.
    """

    mean_3: torch.Tensor
    std_3: torch.Tensor

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.clip = load_network(CLIPModel, folder, dtype=torch.float32)
        with loading(folder):
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            processor = CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
        self.requires_grad_(False).eval()
        self._size: int = self.clip.config.vision_config.image_size
        self.register_buffer("mean_3", torch.tensor(processor.image_mean), persistent=False)
        self.register_buffer("std_3", torch.tensor(processor.image_std), persistent=False)

    def tokenize(self, texts: Sequence[str]) -> torch.Tensor:
        """(B, T) int64: token ids, padded to the longest text and cut at CLIP's 77 tokens."""
        return self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt").input_ids

    @torch.no_grad()
    def encode_tokens(self, token_ids_BT: torch.Tensor) -> torch.Tensor:
        """(B, D) float32. Padding changes nothing, because CLIP's text encoder looks backwards only."""
        output = self.clip.text_model(input_ids=token_ids_BT)
        return self.clip.text_projection(output.pooler_output).float()

    def encode_pictures(self, pixels_B3HW: torch.Tensor) -> torch.Tensor:
        """(B, D) of pictures with values in [0, 1]."""
        squares = F.interpolate(
            pixels_B3HW.float(), (self._size, self._size), mode="bicubic", antialias=True
        ).clamp(0, 1)
        normalised = (squares - self.mean_3[:, None, None]) / self.std_3[:, None, None]
        pixel_values = normalised.to(self.clip.dtype)
        return self.clip.visual_projection(self.clip.vision_model(pixel_values=pixel_values).pooler_output)

    def forward(
        self, pixels_B3HW: torch.Tensor, text_BD: torch.Tensor, weights_B: torch.Tensor
    ) -> torch.Tensor:
        """L_CLIP, a scalar in [0, 2]: the mean over pictures, weighted; 0 if all weights are 0."""
        cosine_B = F.cosine_similarity(self.encode_pictures(pixels_B3HW).float(), text_BD)
        return ((1 - cosine_B) * weights_B).sum() / weights_B.sum().clamp_min(1e-8)
