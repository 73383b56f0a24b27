"""The training of ultralytics' YOLO networks: their own loss under bfloat16 autocast, light augmentation.

Ultralytics' trainer computes in float32 on CPUs; bfloat16 convolutions in channels-last layout are 2.3 times faster.

Shape suffixes: B batch, H height, W width, P people or faces, K keypoints.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bodyworld.pretrain.command import Losses, PretrainRun
from bodyworld.pretrain.photos import LetterboxedPhotos, Target
from bodyworld.pretrain.shuffled_order import ShuffledOrder
from bodyworld.pretrain.timed_training import half_precision
from bolid_pipeline.detection.yolo import save_yolo
from bolid_pipeline.images.decoding import LETTERBOX_GREY
from bolid_pipeline.pose.skeleton import FLIP_INDEX

import bolid_pipeline.detection.telemetry  # noqa: F401 # pyright: ignore[reportUnusedImport] - before ultralytics # isort: skip
from ultralytics.cfg import get_cfg  # isort: skip

Example = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]
"""A square image (H, W, 3), its boxes (P, 4) and keypoints (P, K, 3), in px."""
BATCH_SIZE = 16


def train_yolo(
    run: PretrainRun,
    model: nn.Module,
    photos: LetterboxedPhotos,
    *,
    target: Target,
    export: Callable[[nn.Module], None],
    share_at_size_px: dict[int, float],
) -> None:
    """Train an ultralytics `PoseModel` or `DetectionModel`.

    Args:
        run: how long, and where progress is kept.
        model: changed in place.
        photos: with their labels.
        target: the thing that boxes are drawn around.
        export: called with the model, whose weights are then the moving average, now and then and at the end.
        share_at_size_px: sides of the square input, one after the other, and the share of the time for each. Small
            squares teach most of it in a fraction of the time.
    """
    setattr(model, "args", get_cfg())  # noqa: B010 - a namespace, where torch declares modules and tensors
    model = model.to(memory_format=torch.channels_last).requires_grad_(True).train()
    for size_px, share in share_at_size_px.items():
        run.part(f"{size_px}px", share).train(
            model,
            yolo_losses(model, photos, target, size_px),
            lambda _: export(model),
            learning_rate=2e-3,
            weight_decay=5e-4,
            betas=(0.9, 0.999),
            max_grad_norm=10.0,
        )


def yolo_export(path: Path, config_name: str) -> Callable[[nn.Module], None]:
    """A function that writes a model to a weights file, made with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return lambda model: save_yolo(model, path, config_name)


def yolo_losses(model: nn.Module, photos: LetterboxedPhotos, target: Target, size_px: int) -> Losses:
    """A function that draws a batch and returns ultralytics' losses of it by name, means per image."""
    criterion: Any = cast(Any, model).init_criterion()
    order = ShuffledOrder(len(photos))

    def losses(rng: np.random.Generator) -> dict[str, Tensor]:
        examples = [
            augment(*photos.example(order.next(rng), target), size_px, rng) for _ in range(BATCH_SIZE)
        ]
        batch = collate(examples)
        with half_precision():
            predictions = model(batch["img"])
        parts, names = criterion(_as_float32(predictions), batch)
        return dict(zip(names, parts / BATCH_SIZE, strict=True))

    return losses


def _as_float32(predictions: Any) -> Any:
    """The predictions in float32: the loss sums over thousands of anchors, which bfloat16 would round away."""
    if isinstance(predictions, Tensor):
        return predictions.float()
    if isinstance(predictions, dict):
        return {key: _as_float32(value) for key, value in predictions.items()}
    return [_as_float32(value) for value in predictions]


def augment(
    image_HW3: NDArray[np.uint8],
    boxes_P4: NDArray[np.float32],
    keypoints_PK3: NDArray[np.float32],
    size_px: int,
    rng: np.random.Generator,
) -> Example:
    """Random zoom, shift, mirror and light of one square training picture.

    Boxes are x1, y1, x2, y2 and keypoints x, y, visibility, in pixels of the input; the results are in pixels of
    the (size_px, size_px, 3) output. A mirrored person's left and right keypoints change places (`FLIP_INDEX`).
    People of whom less than a third of the box stays inside are dropped.
    """
    side = image_HW3.shape[0]
    if size_px < side:
        image_HW3 = cv2.resize(image_HW3, (size_px, size_px), interpolation=cv2.INTER_AREA)
    matrix = _random_similarity(size_px, rng)
    image_HW3 = cv2.warpAffine(
        image_HW3, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR, borderValue=(LETTERBOX_GREY,) * 3
    )
    image_HW3 = _relight(image_HW3, rng)
    scaling, offset = np.diag(matrix) * (size_px / side), matrix[:, 2]
    keypoints_PK3 = keypoints_PK3.copy()
    keypoints_PK3[..., :2] = keypoints_PK3[..., :2] * scaling + offset
    outside = (keypoints_PK3[..., :2] < 0).any(-1) | (keypoints_PK3[..., :2] >= size_px).any(-1)
    keypoints_PK3[..., 2] *= ~outside
    corners = boxes_P4.reshape(-1, 2, 2) * scaling + offset
    boxes_P4 = np.concatenate([corners.min(1), corners.max(1)], 1)
    if scaling[0] < 0:
        keypoints_PK3 = keypoints_PK3[:, list(FLIP_INDEX)]
    clipped = np.clip(boxes_P4, 0, size_px)
    is_kept = _areas(clipped) >= _areas(boxes_P4) / 3
    return image_HW3, clipped[is_kept], keypoints_PK3[is_kept]


def _random_similarity(size_px: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(2, 3) matrix that zooms about the centre, perhaps mirrors, and shifts."""
    zoom = float(np.exp(rng.uniform(np.log(0.72), np.log(1.2))))
    scaling = np.array([-zoom if rng.random() < 0.5 else zoom, zoom])
    offset = (1.0 - scaling) * size_px / 2 + rng.uniform(-0.08, 0.08, 2) * size_px
    return np.column_stack([np.diag(scaling), offset]).astype(np.float32)


def _relight(image_HW3: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    gains = rng.uniform(0.8, 1.2) * rng.uniform(0.93, 1.07, 3)
    table = np.clip(np.arange(256)[:, None] * gains + rng.uniform(-12, 12), 0, 255).astype(np.uint8)
    return cv2.LUT(image_HW3, table[None])


def _areas(boxes_P4: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.prod(boxes_P4[:, 2:] - boxes_P4[:, :2], axis=1)


def collate(examples: list[Example]) -> dict[str, Tensor]:
    """Ultralytics' batch: images in [0, 1], boxes as centre and size and keypoints as fractions of the input."""
    images, boxes, keypoints = zip(*examples, strict=True)
    side = images[0].shape[0]
    corners = torch.from_numpy(np.concatenate(boxes)) / side
    points = torch.from_numpy(np.concatenate(keypoints)).clone()
    points[..., :2] /= side
    counts = torch.tensor([len(b) for b in boxes])
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return {
        "img": pixels.float().div_(255.0).contiguous(memory_format=torch.channels_last),
        "batch_idx": torch.repeat_interleave(torch.arange(len(images)), counts).float(),
        "cls": torch.zeros(len(corners), 1),
        "bboxes": torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1),
        "keypoints": points,
    }
