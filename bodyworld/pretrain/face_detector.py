"""Train the small face detector, YOLO11n with one class, on rendered photos; it starts from the pose estimator.

python -m bodyworld.pretrain.face_detector --photos data/pretrain/photos
"""

import logging
from pathlib import Path

import click
import torch
from torch import nn

from bodyworld.pretrain.photos import LetterboxedPhotos
from bodyworld.pretrain.pose_estimator import WEIGHTS_NAME as POSE_WEIGHTS_NAME
from bodyworld.pretrain.yolo_training import train_yolo
from bodyworld.weights import weights_folder
from bolid_pipeline.pretrained.yolo import build_yolo, load_yolo, save_yolo

CONFIG_NAME = "yolo11n.yaml"
WEIGHTS_NAME = "yolo11n-face.safetensors"


def copy_shared(model: nn.Module, source: nn.Module) -> int:
    """Copy every tensor of `source` that `model` has too, in name and shape (backbone, neck, box and class heads)."""
    own = model.state_dict()
    shared = {
        name: value
        for name, value in source.state_dict().items()
        if name in own and own[name].shape == value.shape
    }
    model.load_state_dict(shared, strict=False)
    return len(shared)


@click.command(help=__doc__)
@click.option("--photos", "photos_dir", type=Path, default=Path("data/pretrain/photos"), show_default=True)
@click.option("--minutes", default=10.0, show_default=True, help="Of training, on the wall clock.")
@click.option("--seed", default=20_200, show_default=True)
@click.option("--run-dir", type=Path, default=Path("data/pretrain/face_detector"), show_default=True)
@click.option("--out", type=Path, default=None, help="Weights file; that of the package by default.")
def main(photos_dir: Path, minutes: float, seed: int, run_dir: Path, out: Path | None) -> None:
    """Train, and write the weights now and then."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    out = out or weights_folder("face_detector") / WEIGHTS_NAME
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    model = build_yolo(CONFIG_NAME)
    copy_shared(model, load_yolo(weights_folder("pose_estimator") / POSE_WEIGHTS_NAME))
    train_yolo(
        model,
        LetterboxedPhotos(photos_dir),
        "face",
        run_dir,
        lambda trained: save_yolo(trained, out, CONFIG_NAME),
        minutes_at_size_px={192: minutes},
        batch_size=16,
        seed=seed,
    )


if __name__ == "__main__":
    main()
