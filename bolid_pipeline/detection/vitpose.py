"""Poses by ViTPose (Xu et al., 2022, arXiv:2204.12484), from transformers: keypoints within the box of each person.

Shapes: P persons of all images, N persons of one, K keypoints.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import VitPoseForPoseEstimation

from bolid_pipeline.detection.detector import Detections, Detector
from bolid_pipeline.detection.model_folder import load_model_folder
from bolid_pipeline.images.decoding import Rgb

_COCO = 0
"""The data set whose expert a ViTPose+ asks."""


class TopDownPose(Detector):
    """A detector of persons, and a ViTPose that finds the keypoints of each."""

    def __init__(self, folder: Path, persons: Detector) -> None:
        """Open the ViTPose of `folder`. Raises WeightsMissing, WeightsMismatch."""
        super().__init__()
        self._persons = persons
        self._network, self._processor = load_vitpose(folder)
        self.num_keypoints = self._network.config.num_labels

    @torch.inference_mode()
    def detect(self, images: Sequence[Rgb], *, image_size: int, conf: float, iou: float) -> list[Detections]:
        """See `Detector.detect`; image size, confidence and IoU are those of the persons."""
        persons = self._persons.detect(images, image_size=image_size, conf=conf, iou=iou)
        with_people = [
            (image, found) for image, found in zip(images, persons, strict=True) if len(found.conf)
        ]
        keypoints = iter(self._keypoints(*zip(*with_people, strict=True)) if with_people else [])
        nobody = np.zeros((0, self.num_keypoints, 3), np.float32)
        return [
            Detections(found.boxes_xyxy, found.conf, next(keypoints) if len(found.conf) else nobody)
            for found in persons
        ]

    def _keypoints(self, images: Sequence[Rgb], persons: Sequence[Detections]) -> list[NDArray[np.float32]]:
        """(N, K, 3) of each image: x_px, y_px, confidence in [0, 1]."""
        boxes = [_to_xywh(found.boxes_xyxy) for found in persons]
        inputs = self._processor(
            images=list(images),
            boxes=boxes,
            input_data_format="channels_last",
            return_tensors="pt",
        )
        outputs = self._network(**vitpose_inputs(self._network, inputs["pixel_values"]))
        outputs.heatmaps = outputs.heatmaps.float()
        found = self._processor.post_process_pose_estimation(outputs, boxes=boxes)
        return [np.stack([_keypoints_of(person) for person in of_image]) for of_image in found]


def load_vitpose(folder: Path) -> tuple[Any, Any]:
    """The frozen ViTPose of a folder and its image processor. Raises WeightsMissing, WeightsMismatch."""
    return load_model_folder(folder, VitPoseForPoseEstimation, ("vitpose",))


def vitpose_inputs(network: Any, pixels_P3HW: torch.Tensor) -> dict[str, torch.Tensor]:
    """The arguments of a forward pass; a ViTPose+ is told which of its data sets the persons are like."""
    inputs = {"pixel_values": pixels_P3HW.to(network.device, network.dtype)}
    if network.config.backbone_config.num_experts > 1:
        inputs["dataset_index"] = torch.full((len(pixels_P3HW),), _COCO, device=network.device)
    return inputs


def _to_xywh(boxes_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Corners to left, top, width and height, as COCO and the image processor write a box."""
    return np.concatenate([boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]], axis=1)


def _keypoints_of(person: dict[str, torch.Tensor]) -> NDArray[np.float32]:
    confidence = person["scores"].clamp(0, 1)[:, None]
    return torch.cat([person["keypoints"], confidence], dim=1).numpy().astype(np.float32)
