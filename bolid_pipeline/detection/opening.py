"""The detectors of a deployment, opened from their weights, which decide between the two families.

A YOLO network is one file (`.pt` or `.safetensors`). The detectors of permitting licences are YuNet for faces (one
`.onnx` file), and RT-DETR for persons and ViTPose for poses (a model folder each). A family's library is imported only
where its weights are opened: a deployment without YOLO runs where ultralytics is not installed.
"""

from pathlib import Path

from bolid_pipeline.detection.detector import Detector
from bolid_pipeline.errors import ConfigurationError, WeightsMismatch
from bolid_pipeline.pretrained.weights import Weights, WeightsFile

_COCO_KEYPOINTS = 17


def open_face_detector(weights: Weights) -> Detector:
    """A detector of faces, frozen, on the CPU.

    Raises:
        WeightsMissing: there are no weights.
        WeightsMismatch: they have another hash, are damaged, or are those of another network.
        ConfigurationError: they are a folder.
    """
    match weights:
        case WeightsFile() if weights.path.suffix == ".onnx":
            from bolid_pipeline.detection.yunet import YuNet

            return YuNet(weights)
        case WeightsFile():
            from bolid_pipeline.detection.yolo import YoloDetector

            return YoloDetector(weights, "face")
        case Path():
            raise ConfigurationError(f"{weights} is a folder: a face detector is one file, YOLO's or YuNet's")


def open_person_detector(weights: Weights) -> Detector:
    """A detector of persons, frozen, on the CPU. Raises WeightsMissing, WeightsMismatch."""
    if isinstance(weights, Path):
        from bolid_pipeline.detection.rt_detr import RtDetr

        return RtDetr(weights)
    from bolid_pipeline.detection.yolo import YoloDetector

    return YoloDetector(weights, "person")


def open_pose_estimator(weights: Weights, person_weights: Weights) -> Detector:
    """A detector of persons that finds the 17 keypoints of COCO as well, frozen, on the CPU.

    Args:
        weights: a YOLO pose network, which finds the persons itself; or a ViTPose, which looks into their boxes.
        person_weights: the detector of those boxes.

    Raises:
        WeightsMissing, WeightsMismatch: see `open_face_detector`. A network without keypoints is refused.
    """
    if isinstance(weights, Path):
        from bolid_pipeline.detection.vitpose import TopDownPose

        estimator: Detector = TopDownPose(weights, open_person_detector(person_weights))
    else:
        from bolid_pipeline.detection.yolo import YoloDetector

        estimator = YoloDetector(weights, "person")
    if estimator.num_keypoints != _COCO_KEYPOINTS:
        found = f"{estimator.num_keypoints} keypoints" if estimator.num_keypoints else "no keypoints"
        place = weights if isinstance(weights, Path) else weights.path
        raise WeightsMismatch(f"{place} finds {found}, not the {_COCO_KEYPOINTS} of COCO: no pose estimator")
    return estimator
