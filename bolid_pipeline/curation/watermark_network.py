"""The watermark classifier: timm's ConvNeXt (Liu et al., 2022, arXiv:2201.03545) with a head of three layers.

It loads `convnext-tiny_watermarks_detector.pth` of `boomb0om/watermark-detectors` as published.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.models.convnext import ConvNeXt, checkpoint_filter_fn
from torch import Tensor, nn

from bolid_pipeline.errors import WeightsMismatch
from bolid_pipeline.images.decoding import Rgb
from bolid_pipeline.pretrained.loading import first_words, loading
from bolid_pipeline.pretrained.states import load_state

INPUT_SIDE_PX = 256
_MEAN = (0.485, 0.456, 0.406)  # of ImageNet's pixels
_STD = (0.229, 0.224, 0.225)


class WatermarkClassifier(ConvNeXt):
    """(B, 3, H, W) as `watermark_input` makes it -> logits (B, 2); class 1 is watermarked.

    The default sizes are those of the thesis' detector, ConvNeXt-tiny.
    """

    def __init__(
        self,
        widths: Sequence[int] = (96, 192, 384, 768),
        depths: Sequence[int] = (3, 3, 9, 3),
        head_widths: Sequence[int] = (512, 256),
    ) -> None:
        """Take the channels and the number of blocks of each stage, and the widths of the head's hidden layers."""
        super().__init__(dims=tuple(widths), depths=tuple(depths))
        self.head.add_module("fc", _mlp([widths[-1], *head_widths], num_classes=2))


def watermark_input(image: Rgb) -> Tensor:
    """Squash (H, W, 3) uint8 to a square and normalise it as for ImageNet: (3, 256, 256) float32."""
    small = Image.fromarray(image).resize((INPUT_SIDE_PX, INPUT_SIDE_PX), Image.Resampling.BILINEAR)
    normalised = (np.asarray(small, np.float32) / 255 - np.array(_MEAN, np.float32)) / np.array(
        _STD, np.float32
    )
    return torch.from_numpy(normalised).permute(2, 0, 1)


def load_watermark_classifier(weights: Path, sha256: str | None = None) -> WatermarkClassifier:
    """Load a frozen classifier in float32.

    Args:
        weights: a state dict as `.safetensors`, or the published `.pth`, which needs `sha256`. A `config.json` beside
            it may give `widths`, `depths` and `head_widths`; without one the sizes are ConvNeXt-tiny's.
        sha256: the file's pinned hash.

    Raises:
        WeightsMissing: there is no such file.
        WeightsMismatch: the file has another hash, or its tensors do not fit the network.
    """
    config_path = weights.with_name("config.json")
    with loading(config_path):
        config: dict[str, Any] = json.loads(config_path.read_text("utf-8")) if config_path.is_file() else {}
        model = WatermarkClassifier(
            **{k: v for k, v in config.items() if k in ("widths", "depths", "head_widths")}
        )
    try:
        # The published file has the names of the paper's own code; timm renames them.
        model.load_state_dict(checkpoint_filter_fn(load_state(weights, sha256), model))
    except (KeyError, RuntimeError) as error:
        raise WeightsMismatch(
            f"{weights} does not fit a ConvNeXt of {config or 'the tiny size'}: {first_words(error)}"
        ) from error
    return model.eval().requires_grad_(False)


def _mlp(widths: Sequence[int], num_classes: int) -> nn.Sequential:
    """Linear-GELU-...-Linear from widths[0] to `num_classes` logits."""
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(widths):
        layers += [nn.Linear(wide, narrow), nn.GELU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], num_classes))
