"""Train the small pose estimator, a YOLO11n-pose, on rendered photos.

python -m bodyworld.pretrain.pose_estimator --photos data/pretrain/photos
"""

from pathlib import Path

import click

from bodyworld.pretrain.command import PretrainRun, photos_option, pretrain_command
from bodyworld.pretrain.photos import LetterboxedPhotos
from bodyworld.pretrain.yolo_training import train_yolo, yolo_export
from bodyworld.weights import weights_folder
from bolid_pipeline.detection.yolo import build_yolo, load_yolo
from bolid_pipeline.pose.skeleton import NUM_KEYPOINTS

CONFIG_NAME = "yolo11n-pose.yaml"
WEIGHTS_NAME = "yolo11n-pose.safetensors"


@pretrain_command("pose_estimator", minutes=20.0, seed=20_100)
@photos_option
@click.option("--out", type=Path, default=None, help="Weights file; that of the package by default.")
@click.option("--init", type=Path, default=None, help="Weights file to start from; none by default.")
@click.option("--size-px", default=192, show_default=True, help="Side of the inputs that training ends with.")
def main(run: PretrainRun, *, photos_dir: Path, out: Path | None, init: Path | None, size_px: int) -> None:
    """Train the pose estimator, and write its weights now and then."""
    model = load_yolo(init) if init else build_yolo(CONFIG_NAME, kpt_shape=(NUM_KEYPOINTS, 3))
    train_yolo(
        run,
        model,
        LetterboxedPhotos(photos_dir),
        target="person",
        export=yolo_export(out or weights_folder("pose_estimator") / WEIGHTS_NAME, CONFIG_NAME),
        share_at_size_px={size_px: 1.0} if init else {128: 0.24, size_px: 0.76},
    )


if __name__ == "__main__":
    main()
