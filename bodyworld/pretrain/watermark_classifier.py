"""Train the small watermark classifier, a narrow ConvNeXt, on rendered photos.

    python -m bodyworld.pretrain.watermark_classifier --photos data/pretrain/photos

Every photo is shown with and without a mark, so that the mark is the only difference. During training the classifier
also predicts for each cell of 16 x 16 px whether it is marked, because one label per photo teaches far more slowly. The
layer for that is thrown away.

Shape suffixes: N photos, B batch, C channels, H x W pixels, h x w cells.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from bodyworld.pretrain.command import Losses, PretrainRun, photos_option, pretrain_command
from bodyworld.pretrain.photos import WATERMARK_OPACITY, photo_paths, read_labels
from bodyworld.pretrain.shuffled_order import ShuffledOrder
from bodyworld.pretrain.timed_training import half_precision
from bodyworld.weights import weights_folder
from bodyworld.world.defects import WATERMARK_KINDS, add_watermark
from bolid_pipeline.curation.watermark_network import (
    INPUT_SIDE_PX,
    WatermarkClassifier,
    load_watermark_classifier,
    watermark_input,
)
from bolid_pipeline.images.decoding import Rgb, decode_rgb, encode_jpeg

CELL_PX = 16
CONFIG: dict[str, tuple[int, ...]] = {
    "widths": (24, 48, 96, 192),
    "depths": (1, 1, 3, 1),
    "head_widths": (128, 64),
}
MARKING_LONG_SIDE_PX = 1000
"""Photos are enlarged to this before they are marked, so that thin strokes shrink as in a photo of full size."""
_VISIBLE_CHANGE = 8
"""Least change of a pixel (0..255) that counts as marked."""
_LEAST_MARKED_CELLS = 0.15
"""A crop with less mark, counted in whole cells, counts as clean."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The same photos clean and marked, squashed to the classifier's input: (N, 256, 256, 3) uint8 each."""

    clean_NHW3: NDArray[np.uint8]
    marked_NHW3: NDArray[np.uint8]


def load_pairs(photos_dir: Path, seed: int) -> Pairs:
    """Every photo of a set that has no watermark yet, without and with one; made once and kept beside the set."""
    paths = [
        p
        for p, is_marked in zip(photo_paths(photos_dir), read_labels(photos_dir).has_watermark_N, strict=True)
        if not is_marked
    ]
    cache = photos_dir / f"watermark_pairs_{len(paths)}_{seed}.npy"
    if not cache.exists():
        part = cache.with_suffix(".part")
        shape = (2, len(paths), INPUT_SIDE_PX, INPUT_SIDE_PX, 3)
        pairs = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
        for index, path in enumerate(tqdm(paths, desc="watermarks")):
            pairs[:, index] = make_pair(decode_rgb(path.read_bytes()), np.random.default_rng((seed, index)))
        pairs.flush()
        part.rename(cache)
    clean, marked = np.load(cache, mmap_mode="r")
    return Pairs(clean_NHW3=clean, marked_NHW3=marked)


def make_pair(image: Rgb, rng: np.random.Generator) -> tuple[Rgb, Rgb]:
    """The classifier's input of a photo, without and with a mark of a random kind and opacity."""
    factor = MARKING_LONG_SIDE_PX / max(image.shape[:2])
    large = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    opacity = float(
        rng.uniform(*WATERMARK_OPACITY) if rng.random() < 0.7 else rng.uniform(WATERMARK_OPACITY[0], 0.45)
    )
    marked = add_watermark(large, str(rng.choice(WATERMARK_KINDS)), opacity, rng)
    quality = int(rng.integers(75, 96))
    clean, marked = (_squash(decode_rgb(encode_jpeg(each, quality))) for each in (large, marked))
    return clean, marked


def _squash(image: Rgb) -> Rgb:
    return cv2.resize(image, (INPUT_SIDE_PX, INPUT_SIDE_PX), interpolation=cv2.INTER_AREA)


class CellMarks(nn.Module):
    """A classifier with a layer that turns its features of stride 16 into one logit per cell: is there a mark?"""

    def __init__(self, classifier: WatermarkClassifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.cells = nn.Conv2d(CONFIG["widths"][2], 1, 1)

    def forward(self, images_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, 2) of the classifier and (B, h, w) of the cells."""
        features: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            features.append(output)

        handle = self.classifier.stages[2].register_forward_hook(keep)
        logits_B2 = self.classifier(images_B3HW)
        handle.remove()
        return logits_B2, self.cells(features[0])[:, 0]


def classifier_losses(model: CellMarks, pairs: Pairs, num_pairs: int, size_px: int) -> Losses:
    """A function that draws `num_pairs` crops of `size_px`, clean and marked, and returns the losses by name."""
    order = ShuffledOrder(len(pairs.clean_NHW3))

    def losses(rng: np.random.Generator) -> dict[str, Tensor]:
        numbers = (order.next(rng) for _ in range(num_pairs))
        crops = [augment_pair(pairs.clean_NHW3[n], pairs.marked_NHW3[n], size_px, rng) for n in numbers]
        inputs_2B3HW = torch.stack([crop for crop, _ in crops], 1)
        share_Bhw = torch.stack([share for _, share in crops])
        inputs = inputs_2B3HW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        with half_precision():
            logits_B2, cells_Bhw = model(inputs)
        has_mark_B = share_Bhw.sum((1, 2)) > _LEAST_MARKED_CELLS
        labels_B = torch.cat([torch.zeros_like(has_mark_B), has_mark_B]).long()
        is_marked_Bhw = torch.cat([torch.zeros_like(share_Bhw), (share_Bhw > 0.04).float()])
        weight = torch.tensor(3.0)  # marked cells are the fewer
        return {
            "classes": F.cross_entropy(logits_B2.float(), labels_B, label_smoothing=0.02),
            "cells": F.binary_cross_entropy_with_logits(cells_Bhw.float(), is_marked_Bhw, pos_weight=weight),
        }

    return losses


def augment_pair(
    clean_HW3: NDArray[np.uint8], marked_HW3: NDArray[np.uint8], size_px: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """The same random light, mirror image (one in four) and crop for both pictures, preferably where the mark is.

    Returns the inputs (2, 3, size_px, size_px), clean and marked, and the share of marked pixels per cell (h, w).
    """
    both = np.stack([clean_HW3, marked_HW3])
    if rng.random() < 0.25:
        both = both[:, :, ::-1]
    share_hw = marked_share(*both)
    gains = rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3)
    table = np.clip(np.arange(256)[:, None] * gains + rng.uniform(-8, 8), 0, 255).astype(np.uint8)
    inputs = torch.stack(
        [watermark_input(cv2.LUT(np.ascontiguousarray(image), table[None])) for image in both]
    )
    side = size_px // CELL_PX
    corners = rng.integers(0, len(share_hw) - side + 1, (3, 2)).tolist()
    top, left = max(corners, key=lambda corner: share_hw[corner[0] :, corner[1] :][:side, :side].sum())
    rows, columns = (
        slice(top * CELL_PX, top * CELL_PX + size_px),
        slice(left * CELL_PX, left * CELL_PX + size_px),
    )
    return inputs[..., rows, columns], torch.from_numpy(share_hw[top : top + side, left : left + side])


def marked_share(clean_HW3: NDArray[np.uint8], marked_HW3: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H / 16, W / 16) float32 share of visibly changed pixels in every cell."""
    change = np.abs(clean_HW3.astype(np.int16) - marked_HW3).max(-1) > _VISIBLE_CHANGE
    height, width = change.shape
    return change.reshape(height // CELL_PX, CELL_PX, width // CELL_PX, CELL_PX).mean(
        (1, 3), dtype=np.float32
    )


def save_classifier(classifier: WatermarkClassifier, folder: Path) -> None:
    """Write config.json and model.safetensors, in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n", encoding="utf-8")
    state = {name: value.detach().half().contiguous() for name, value in classifier.state_dict().items()}
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def new_classifier() -> WatermarkClassifier:
    """An untrained network whose blocks start at a tenth of their strength; the paper's 1e-6 suits long trainings."""
    classifier = WatermarkClassifier(**CONFIG)
    for name, value in classifier.named_parameters():
        if name.endswith("gamma"):
            nn.init.constant_(value, 0.1)
    return classifier


@pretrain_command("watermark_classifier", minutes=16.0, seed=20_300)
@photos_option
@click.option("--out", type=Path, default=None, help="Weights folder; that of the package by default.")
@click.option("--init", type=Path, default=None, help="Weights file to start from; none by default.")
def main(run: PretrainRun, *, photos_dir: Path, out: Path | None, init: Path | None) -> None:
    """Train the watermark classifier, and write its weights now and then.

    A new network sees crops first, which is faster; one that starts from weights sees whole inputs only.
    """
    out = out or weights_folder("watermark_classifier")
    pairs = load_pairs(photos_dir, run.seed)
    classifier = load_watermark_classifier(init).requires_grad_(True).train() if init else new_classifier()
    model = CellMarks(classifier).to(memory_format=torch.channels_last)
    parts = ((INPUT_SIDE_PX, 1.0, 16),) if init else ((128, 0.2, 32), (INPUT_SIDE_PX, 0.8, 16))
    for size_px, share, num_pairs in parts:
        run.part(f"{size_px}px", share).train(
            model,
            classifier_losses(model, pairs, num_pairs, size_px),
            lambda _: save_classifier(model.classifier, out),
            learning_rate=1.5e-3,
            weight_decay=0.02,
            ema_decay=0.995,
        )


if __name__ == "__main__":
    main()
