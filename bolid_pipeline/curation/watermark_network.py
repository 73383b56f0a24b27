"""The watermark classifier: ConvNeXt (Liu et al., 2022, arXiv:2201.03545) with a head of three layers.

Parameters have the names of the paper's own code, which `boomb0om/watermark-detectors` is built on, so that
`convnext-tiny_watermarks_detector.pth` loads as it is. Shapes: B images, C channels, H x W pixels.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from bolid_pipeline.errors import WeightsMismatch
from bolid_pipeline.images import Rgb
from bolid_pipeline.pretrained.states import load_state

INPUT_SIDE_PX = 256
_MEAN = (0.485, 0.456, 0.406)  # of ImageNet
_STD = (0.229, 0.224, 0.225)


class WatermarkClassifier(nn.Module):
    """Two logits per picture; class 1 is watermarked. By default the thesis' detector (ConvNeXt-tiny)."""

    def __init__(
        self,
        widths: Sequence[int] = (96, 192, 384, 768),
        depths: Sequence[int] = (3, 3, 9, 3),
        head_widths: Sequence[int] = (512, 256),
    ) -> None:
        """Widths and depths per stage, and the widths of the head's hidden layers."""
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, widths[0], 4, stride=4), _ChannelNorm(widths[0]))
        self.downsample_layers = nn.ModuleList(
            [
                stem,
                *(nn.Sequential(_ChannelNorm(a), nn.Conv2d(a, b, 2, stride=2)) for a, b in pairwise(widths)),
            ]
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Block(width) for _ in range(depth)))
            for width, depth in zip(widths, depths, strict=True)
        )
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)
        self.head = _head([widths[-1], *head_widths])

    def forward(self, images_B3HW: Tensor) -> Tensor:
        """Logits (B, 2) of pictures as `watermark_input` makes them."""
        x = images_B3HW
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(downsample(x))
        return self.head(self.norm(x.mean(dim=(-2, -1))))


def watermark_input(image: Rgb) -> Tensor:
    """(H, W, 3) uint8 to (3, 256, 256) float32: squashed to a square, normalised as for ImageNet."""
    small = Image.fromarray(image).resize((INPUT_SIDE_PX, INPUT_SIDE_PX), Image.Resampling.BILINEAR)
    normalised = (np.asarray(small, np.float32) / 255 - np.array(_MEAN, np.float32)) / np.array(
        _STD, np.float32
    )
    return torch.from_numpy(normalised).permute(2, 0, 1)


def load_watermark_classifier(weights: Path, sha256: str | None = None) -> WatermarkClassifier:
    """A frozen classifier in float32.

    Args:
        weights: state dict as `.safetensors`, or as the published `.pth` (then `sha256` is a must). A
            `config.json` beside it may give `widths`, `depths` and `head_widths`; without one it is
            ConvNeXt-tiny.
        sha256: the file's pinned hash.

    Raises:
        WeightsMissing, WeightsMismatch.
    """
    state = load_state(weights, sha256)
    config_path = weights.with_name("config.json")
    config: dict[str, Any] = json.loads(config_path.read_text()) if config_path.is_file() else {}
    model = WatermarkClassifier(
        **{k: v for k, v in config.items() if k in ("widths", "depths", "head_widths")}
    )
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsMismatch(
            f"{weights} does not fit a ConvNeXt of {config or 'the tiny size'}: {error}"
        ) from error
    return model.eval().requires_grad_(False)


class _Block(nn.Module):
    """Depthwise 7 x 7, then a two-layer perceptron per pixel, scaled and added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), 1e-6))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BHWC = self.norm(self.dwconv(x_BCHW).permute(0, 2, 3, 1))
        x_BHWC = self.gamma * self.pwconv2(nn.functional.gelu(self.pwconv1(x_BHWC)))
        return x_BCHW + x_BHWC.permute(0, 3, 1, 2)


class _ChannelNorm(nn.Module):
    """LayerNorm over the channels of each pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BHWC = x_BCHW.permute(0, 2, 3, 1)
        normed = nn.functional.layer_norm(x_BHWC, self.weight.shape, self.weight, self.bias, eps=1e-6)
        return normed.permute(0, 3, 1, 2)


def _head(widths: Sequence[int]) -> nn.Sequential:
    """Linear-GELU-...-Linear from widths[0] to 2 logits."""
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(widths):
        layers += [nn.Linear(wide, narrow), nn.GELU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 2))
