"""YOLO detectors and pose estimators: build, load, save, and detect in the pixels of the given picture.

Shapes: B images, N detections, K keypoints.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

import bolid_pipeline.detection.telemetry  # noqa: F401 # pyright: ignore[reportUnusedImport] - before ultralytics
from bolid_pipeline.detection.detector import Detections, Detector
from bolid_pipeline.errors import WeightsMismatch
from bolid_pipeline.images.decoding import Rgb
from bolid_pipeline.pretrained.loading import first_words, loading
from bolid_pipeline.pretrained.states import load_safetensors, verify_pickle
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.storage.atomic import write_atomically

from ultralytics.data.augment import LetterBox  # isort: skip
from ultralytics.nn.tasks import DetectionModel, PoseModel, load_checkpoint  # isort: skip
from ultralytics.utils import SETTINGS, ops  # isort: skip
from ultralytics.utils.nms import non_max_suppression  # isort: skip

# ultralytics drops the detections that it did not reach in time; a busy machine must not lose people.
_NMS_SECONDS_PER_IMAGE = 60.0

Wanted = Literal["face", "person"]
"""The classes that are looked for."""


class YoloDetector(Detector):
    """A YOLO network that finds faces or persons, and keypoints if it is a pose network."""

    def __init__(self, weights: WeightsFile, wanted: Wanted) -> None:
        """Open a network of the task.

        Args:
            weights: see `load_yolo`.
            wanted: the class to find. A network of one class is taken for it, unless that class has another's name.

        Raises:
            WeightsMissing: the file is missing.
            WeightsMismatch: the file has another hash, or holds a network of another task.
        """
        super().__init__()
        self._network = load_yolo(weights.path, weights.sha256)
        self._classes = [_class_index(self._network, wanted, weights.path)]
        self.num_keypoints = getattr(_detection_head(self._network), "kpt_shape", (0,))[0]

    def detect(self, images: Sequence[Rgb], *, image_size: int, conf: float, iou: float) -> list[Detections]:
        """See `Detector.detect`; all images in one pass, each scaled to fit a grey square, aspect kept."""
        return detect(self._network, images, image_size=image_size, conf=conf, iou=iou, classes=self._classes)


def build_yolo(config_name: str, num_classes: int = 1, kpt_shape: tuple[int, int] | None = None) -> nn.Module:
    """Build an untrained network of an ultralytics architecture.

    Args:
        config_name: such as `yolo11n.yaml`, or `yolo11n-pose.yaml` with keypoints.
        num_classes: number of classes.
        kpt_shape: (keypoints, numbers per keypoint), (17, 3) for COCO; None for a detector.
    """
    if kpt_shape is None:
        return DetectionModel(config_name, nc=num_classes, verbose=False)
    return PoseModel(config_name, nc=num_classes, data_kpt_shape=kpt_shape, verbose=False)


def save_yolo(model: nn.Module, path: Path, config_name: str) -> None:
    """Write a network as float16 safetensors; the metadata say how `load_yolo` builds it again.

    Args:
        model: an ultralytics DetectionModel or PoseModel (`YOLO(...).model`).
        path: of the file, ending in `.safetensors`.
        config_name: the architecture with its size, such as `yolo11n-pose.yaml`.
    """
    head = _detection_head(model)
    kpt_shape = getattr(head, "kpt_shape", None)
    metadata = {
        "config": config_name,
        "num_classes": str(head.nc),
        "kpt_shape": json.dumps(None if kpt_shape is None else list(kpt_shape)),
    }
    state = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    halved = {name: (value.half() if value.is_floating_point() else value) for name, value in state.items()}
    write_atomically(path, save({name: value.contiguous() for name, value in halved.items()}, metadata))


def load_yolo(weights: Path, sha256: str | None = None) -> nn.Module:
    """Load a frozen network in float32, ready to detect.

    Args:
        weights: a `.safetensors` that `save_yolo` wrote, or a checkpoint `.pt` of ultralytics.
        sha256: the file's pinned hash; required for a `.pt`, because it is a pickle.

    Raises:
        WeightsMissing: the file is missing.
        WeightsMismatch: the file has another hash, or does not fit the network that it names.
    """
    model = (
        _load_safetensors(weights, sha256)
        if weights.suffix == ".safetensors"
        else _load_pickle(weights, sha256)
    )
    return model.float().eval().requires_grad_(False)


@torch.inference_mode()
def detect(
    model: nn.Module,
    images: Sequence[Rgb],
    *,
    image_size: int,
    conf: float,
    iou: float = 0.7,
    classes: Sequence[int] | None = None,
) -> list[Detections]:
    """Detect in several images by one forward pass.

    Args:
        model: from `load_yolo`.
        images: (H, W, 3) uint8 RGB each, of any sizes; each is scaled to fit a grey square, aspect kept.
        image_size: side of the square in px, a multiple of 32.
        conf: least confidence of a detection.
        iou: of two boxes that overlap by more than this, the less sure one is dropped.
        classes: indices of the classes that count; None for all.

    Returns:
        The detections of each image, in px of that image, clipped to it.
    """
    if not images:
        return []
    head = _detection_head(model)
    letterbox: Any = LetterBox((image_size, image_size))
    squares = np.stack([letterbox(image=np.ascontiguousarray(image)) for image in images])
    weight = next(model.parameters())
    inputs_B3SS = torch.from_numpy(squares).to(weight.device).permute(0, 3, 1, 2).to(weight.dtype) / 255
    found: Any = non_max_suppression(
        model(inputs_B3SS),
        conf,
        iou,
        classes=None if classes is None else list(classes),
        nc=head.nc,
        max_time_img=_NMS_SECONDS_PER_IMAGE,
        end2end=head.end2end,
    )
    kpt_shape = getattr(head, "kpt_shape", None)
    return [
        _to_detections(rows, image_size, image.shape[:2], kpt_shape)
        for rows, image in zip(found, images, strict=True)
    ]


def _detection_head(model: nn.Module) -> Any:
    """The last layer of an ultralytics network, which knows the number of classes and of keypoints."""
    layers: Any = model.model
    return layers[-1]


def _class_index(model: nn.Module, wanted: Wanted, weights: Path) -> int:
    """The index of the wanted class. Raises WeightsMismatch if the network finds other things."""
    network: Any = model
    names: dict[int, str] = {index: str(name).lower() for index, name in network.names.items()}
    for index, name in names.items():
        if name == wanted:
            return index
    if len(names) == 1 and not set(names.values()) & set(get_args(Wanted)):
        return 0
    listed = ", ".join(list(names.values())[:3]) + (" ..." if len(names) > 3 else "")
    raise WeightsMismatch(f"{weights} finds {listed}, not a {wanted}: weights of another task")


def _to_detections(
    rows: Tensor, image_size: int, shape_hw: tuple[int, int], kpt_shape: Sequence[int] | None
) -> Detections:
    """Convert rows of (x1, y1, x2, y2, conf, class, keypoints...) from px of the square to px of the image."""
    square = (image_size, image_size)
    rows = rows.float().cpu()
    boxes: Any = ops.scale_boxes(square, rows[:, :4].clone(), shape_hw)
    keypoints = None
    if kpt_shape is not None:
        keypoints_NK3 = rows[:, 6:].clone().reshape(len(rows), *kpt_shape)
        keypoints = ops.scale_coords(square, keypoints_NK3, shape_hw).numpy()
    return Detections(boxes.numpy(), rows[:, 4].numpy(), keypoints)


def _load_safetensors(weights: Path, sha256: str | None) -> nn.Module:
    state, metadata = load_safetensors(weights, sha256)
    try:
        config, num_classes, kpt_shape = (metadata[name] for name in ("config", "num_classes", "kpt_shape"))
    except KeyError as error:
        raise WeightsMismatch(f"{weights} lacks {error} in its metadata: write it by save_yolo") from error
    with loading(weights):
        keypoints = json.loads(kpt_shape)
        model = build_yolo(config, int(num_classes), keypoints and tuple(keypoints))
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsMismatch(f"{weights} does not fit {config}: {first_words(error)}") from error
    return model


def _load_pickle(weights: Path, sha256: str | None) -> nn.Module:
    with loading(verify_pickle(weights, sha256)) as checked:
        return load_checkpoint(checked)[0]


SETTINGS.update(sync=False)
