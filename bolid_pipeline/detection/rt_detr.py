"""Persons by RT-DETR (Zhao et al., 2024, arXiv:2304.08069) or RT-DETRv2 (arXiv:2407.17140), from transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torchvision.ops import clip_boxes_to_image, nms
from transformers import AutoModelForObjectDetection

from bolid_pipeline.detection.detector import Detections, Detector
from bolid_pipeline.detection.model_folder import load_model_folder
from bolid_pipeline.errors import WeightsMismatch
from bolid_pipeline.images.decoding import Rgb

_MODEL_TYPES = ("rt_detr", "rt_detr_v2")


class RtDetr(Detector):
    """An RT-DETR of which the class `person` counts."""

    def __init__(self, folder: Path) -> None:
        """Open `folder`. Raises WeightsMissing, WeightsMismatch: see `load_model_folder`, or no class is `person`."""
        super().__init__()
        self._network, self._processor = load_model_folder(folder, AutoModelForObjectDetection, _MODEL_TYPES)
        classes: dict[str, int] = {name: int(i) for i, name in self._network.config.id2label.items()}
        if "person" not in classes:
            raise WeightsMismatch(
                f"{folder} finds no persons: none of its {len(classes)} classes is `person`"
            )
        self._person = classes["person"]

    @torch.inference_mode()
    def detect(self, images: Sequence[Rgb], *, image_size: int, conf: float, iou: float) -> list[Detections]:
        """See `Detector.detect`; all images in one pass, each squashed to a square as the network was trained."""
        if not images:
            return []
        inputs = self._processor(
            images=list(images),
            size={"height": image_size, "width": image_size},
            input_data_format="channels_last",
            return_tensors="pt",
            device=self._network.device,
        )
        outputs = self._network(inputs["pixel_values"].to(self._network.dtype))
        sizes = [image.shape[:2] for image in images]
        found = self._processor.post_process_object_detection(outputs, threshold=conf, target_sizes=sizes)
        return [self._persons(each, size, iou) for each, size in zip(found, sizes, strict=True)]

    def _persons(self, found: dict[str, Any], size_hw: tuple[int, ...], iou: float) -> Detections:
        """The persons among the things found in one image, surest first."""
        is_person = found["labels"] == self._person
        boxes, conf = found["boxes"][is_person].float(), found["scores"][is_person].float()
        kept = nms(boxes, conf, iou)
        boxes = clip_boxes_to_image(boxes[kept], (size_hw[0], size_hw[1]))
        return Detections(boxes.cpu().numpy(), conf[kept].cpu().numpy(), None)
