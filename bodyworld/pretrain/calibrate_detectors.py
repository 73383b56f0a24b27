"""Choose the confidence from which a detection counts, on photos of their own.

python -m bodyworld.pretrain.calibrate_detectors
"""

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from torch import nn

from bodyworld.pretrain.face_detector import WEIGHTS_NAME as FACE_WEIGHTS_NAME
from bodyworld.pretrain.photos import photo_paths, read_labels, render_part
from bodyworld.pretrain.pose_estimator import WEIGHTS_NAME as POSE_WEIGHTS_NAME
from bodyworld.weights import WeightsRole, weights_folder
from bolid_pipeline.detection.yolo import detect, load_yolo
from bolid_pipeline.images.decoding import Rgb, decode_rgb

LEVELS = np.arange(0.15, 0.86, 0.05)
_BATCH_SIZE = 25


def count_accuracy(
    model: nn.Module, images: list[Rgb], num_true_N: NDArray[np.int64], image_size_px: int, iou: float
) -> dict[float, float]:
    """For each confidence level, the share of photos in which the right number of things is found."""
    confidences: list[NDArray[np.float32]] = []
    for start in range(0, len(images), _BATCH_SIZE):
        batch = images[start : start + _BATCH_SIZE]
        confidences += [
            found.conf
            for found in detect(model, batch, image_size=image_size_px, conf=float(LEVELS[0]), iou=iou)
        ]
    return {
        round(float(level), 2): float(
            np.mean([(c > level).sum() == n for c, n in zip(confidences, num_true_N, strict=True)])
        )
        for level in LEVELS
    }


def best_level(accuracy: dict[float, float]) -> float:
    """The middle one of the levels within half a percent of the best."""
    good = [level for level, value in accuracy.items() if value >= max(accuracy.values()) - 0.005]
    return good[len(good) // 2]


@click.command()
@click.option(
    "--photos", "photos_dir", type=Path, default=Path("data/pretrain/calibration"), show_default=True
)
@click.option("--seed", default=29_000, show_default=True)
@click.option("--image-size-px", default=192, show_default=True)
@click.option("--iou", default=0.5, show_default=True)
def main(*, photos_dir: Path, seed: int, image_size_px: int, iou: float) -> None:
    """Render photos, count people and faces at each level, and print the level to use."""
    render_part(0, photos_dir, seed)
    labels = read_labels(photos_dir)
    images = [decode_rgb(path.read_bytes()) for path in photo_paths(photos_dir)]
    detectors: tuple[tuple[WeightsRole, str, NDArray[np.float32]], ...] = (
        ("pose_estimator", POSE_WEIGHTS_NAME, labels.person_boxes_NP4),
        ("face_detector", FACE_WEIGHTS_NAME, labels.face_boxes_NP4),
    )
    for role, name, boxes_NP4 in detectors:
        num_true_N = (~np.isnan(boxes_NP4[..., 0])).sum(1)
        accuracy = count_accuracy(
            load_yolo(weights_folder(role) / name), images, num_true_N, image_size_px, iou
        )
        click.echo(
            f"{role}: conf {best_level(accuracy):.2f}; exact counts at "
            + ", ".join(f"{k:.2f}: {v:.3f}" for k, v in accuracy.items())
        )


if __name__ == "__main__":
    main()
