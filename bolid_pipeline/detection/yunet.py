"""Faces by YuNet (Wu et al., 2023, doi:10.1007/s11633-023-1423-y), run by OpenCV on the CPU."""

from collections.abc import Sequence

import cv2
import numpy as np

from bolid_pipeline.detection.detector import Detections, Detector
from bolid_pipeline.images.decoding import Rgb, resize_to
from bolid_pipeline.pretrained.loading import loading
from bolid_pipeline.pretrained.weights import WeightsFile, verify

_SIZE_OF_THE_FILE_PX = 640
_MOST_FACES = 5000
"""Kept before overlapping ones are dropped: OpenCV's own default."""


class YuNet(Detector):
    """A YuNet as OpenCV publishes it, `face_detection_yunet_2023mar.onnx`."""

    def __init__(self, weights: WeightsFile) -> None:
        """Open the file. Raises WeightsMissing, WeightsMismatch: another hash, or no YuNet."""
        super().__init__()
        with loading(verify(weights)) as path:
            size = (_SIZE_OF_THE_FILE_PX, _SIZE_OF_THE_FILE_PX)
            self._network = cv2.FaceDetectorYN.create(str(path), "", size, top_k=_MOST_FACES)
            # OpenCV reads any network here; a strange one shows when it is run.
            self._network.detect(np.zeros((*size, 3), np.uint8))

    def detect(self, images: Sequence[Rgb], *, image_size: int, conf: float, iou: float) -> list[Detections]:
        """See `Detector.detect`; one image after the other, each scaled to fit a black square, aspect kept."""
        self._network.setInputSize((image_size, image_size))
        self._network.setScoreThreshold(conf)
        self._network.setNMSThreshold(iou)
        return [self._faces(image, image_size) for image in images]

    def _faces(self, image: Rgb, image_size: int) -> Detections:
        height, width = image.shape[:2]
        scale = image_size / max(height, width)
        rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
        square = np.zeros((image_size, image_size, 3), np.uint8)
        square[:rows, :columns] = resize_to(image, rows, columns)
        _, found = self._network.detect(square[..., ::-1].copy())  # it was trained on BGR
        # Each row: left, top, width, height, x and y of five landmarks, confidence.
        faces_N15 = np.zeros((0, 15), np.float32) if found is None else found
        faces_N15 = faces_N15[np.argsort(-faces_N15[:, -1], kind="stable")]
        corners = np.concatenate([faces_N15[:, :2], faces_N15[:, :2] + faces_N15[:, 2:4]], axis=1)
        boxes = corners * np.array([width / columns, height / rows] * 2)
        boxes = boxes.clip(0, [width, height] * 2).astype(np.float32)
        is_inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # not in the black border
        return Detections(boxes[is_inside], faces_N15[is_inside, -1].astype(np.float32), None)
