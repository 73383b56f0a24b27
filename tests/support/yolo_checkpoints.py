"""YOLO networks with random weights in checkpoints of ultralytics, as yolo11n-pose.pt and its like are published."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bolid_pipeline.detection.yolo import build_yolo

from ultralytics.utils.torch_utils import strip_optimizer  # isort: skip


def noisy_yolo(config_name: str, num_classes: int = 1, kpt_shape: tuple[int, int] | None = None) -> nn.Module:
    """A network that sees something in noise."""
    torch.manual_seed(0)
    model = build_yolo(config_name, num_classes, kpt_shape)
    head: Any = model.get_submodule("model.23")
    for layer in head.cv3:
        nn.init.constant_(layer[-1].bias, -2.5)
    return model


def save_checkpoint(
    path: Path, config_name: str, names: Mapping[int, str], kpt_shape: tuple[int, int] | None = None
) -> Path:
    """Write what ultralytics leaves of a training: the network in float16, its names, and no optimiser."""
    model: Any = noisy_yolo(config_name, len(names), kpt_shape)
    model.names = dict(names)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"epoch": 1, "model": model, "ema": None, "train_args": {"imgsz": 640}}, path)
    strip_optimizer(path)
    return path
