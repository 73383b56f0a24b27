"""Train the small face detector, a YOLO11n, from the weights of the pose estimator.

python -m bodyworld.pretrain.face_detector --photos data/pretrain/photos
"""

from pathlib import Path

import click
from torch import nn

from bodyworld.pretrain.command import PretrainRun, photos_option, pretrain_command
from bodyworld.pretrain.photos import LetterboxedPhotos
from bodyworld.pretrain.pose_estimator import WEIGHTS_NAME as POSE_WEIGHTS_NAME
from bodyworld.pretrain.yolo_training import train_yolo, yolo_export
from bodyworld.weights import weights_folder
from bolid_pipeline.detection.yolo import build_yolo, load_yolo

CONFIG_NAME = "yolo11n.yaml"
WEIGHTS_NAME = "yolo11n-face.safetensors"


def copy_shared(model: nn.Module, source: nn.Module) -> int:
    """Copy every tensor of `source` that `model` has with the same name and shape; returns their number."""
    own = model.state_dict()
    shared = {
        name: value
        for name, value in source.state_dict().items()
        if name in own and own[name].shape == value.shape
    }
    model.load_state_dict(shared, strict=False)
    return len(shared)


@pretrain_command("face_detector", minutes=10.0, seed=20_200)
@photos_option
@click.option("--out", type=Path, default=None, help="Weights file; that of the package by default.")
def main(run: PretrainRun, *, photos_dir: Path, out: Path | None) -> None:
    """Train the face detector, and write its weights now and then."""
    model = build_yolo(CONFIG_NAME)
    copy_shared(model, load_yolo(weights_folder("pose_estimator") / POSE_WEIGHTS_NAME))
    train_yolo(
        run,
        model,
        LetterboxedPhotos(photos_dir),
        target="face",
        export=yolo_export(out or weights_folder("face_detector") / WEIGHTS_NAME, CONFIG_NAME),
        share_at_size_px={192: 1.0},
    )


if __name__ == "__main__":
    main()
