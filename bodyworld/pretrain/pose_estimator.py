"""Train the small pose estimator, YOLO11n-pose with the 17 COCO keypoints, on rendered photos.

python -m bodyworld.pretrain.pose_estimator --photos data/pretrain/photos
"""

import logging
from pathlib import Path

import click
import torch

from bodyworld.pretrain.photos import LetterboxedPhotos
from bodyworld.pretrain.yolo_training import train_yolo
from bodyworld.weights import weights_folder
from bolid_pipeline.pretrained.yolo import build_yolo, load_yolo, save_yolo

CONFIG_NAME = "yolo11n-pose.yaml"
WEIGHTS_NAME = "yolo11n-pose.safetensors"


@click.command(help=__doc__)
@click.option("--photos", "photos_dir", type=Path, default=Path("data/pretrain/photos"), show_default=True)
@click.option("--minutes", default=20.0, show_default=True, help="Of training, on the wall clock.")
@click.option("--seed", default=20_100, show_default=True)
@click.option("--run-dir", type=Path, default=Path("data/pretrain/pose_estimator"), show_default=True)
@click.option("--out", type=Path, default=None, help="Weights file; that of the package by default.")
@click.option("--init", type=Path, default=None, help="Weights file to start from; none by default.")
@click.option("--size-px", default=192, show_default=True, help="Side of the inputs that training ends with.")
def main(
    photos_dir: Path,
    minutes: float,
    seed: int,
    run_dir: Path,
    out: Path | None,
    init: Path | None,
    size_px: int,
) -> None:
    """Train, and write the weights now and then."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    out = out or weights_folder("pose_estimator") / WEIGHTS_NAME
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    model = load_yolo(init) if init else build_yolo(CONFIG_NAME, kpt_shape=(17, 3))
    train_yolo(
        model,
        LetterboxedPhotos(photos_dir),
        "person",
        run_dir,
        lambda trained: save_yolo(trained, out, CONFIG_NAME),
        minutes_at_size_px={size_px: minutes} if init else {128: 0.24 * minutes, size_px: 0.76 * minutes},
        batch_size=16,
        seed=seed,
    )


if __name__ == "__main__":
    main()
