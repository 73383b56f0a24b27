"""RT-DETR and ViTPose: positions in px of the given picture, and the same as by transformers' own code."""

import numpy as np
import pytest
import torch
from tiny_detectors import save_rt_detr, save_vitpose
from transformers import (
    AutoImageProcessor,
    RTDetrForObjectDetection,
    VitPoseForPoseEstimation,
    VitPoseImageProcessor,
)

from bolid_pipeline.detection.rt_detr import RtDetr
from bolid_pipeline.detection.vitpose import TopDownPose


@pytest.fixture(scope="module")
def persons_folder(tmp_path_factory):
    return save_rt_detr(tmp_path_factory.mktemp("rt_detr"))


@pytest.fixture(scope="module", params=[1, 6], ids=["vitpose", "vitpose plus"])
def poses_folder(request, tmp_path_factory):
    return save_vitpose(tmp_path_factory.mktemp("vitpose"), experts=request.param)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_persons_are_those_that_transformers_finds(persons_folder):
    images = [noise(90, 120), noise(50, 40, seed=1)]
    processor = AutoImageProcessor.from_pretrained(persons_folder)
    network = RTDetrForObjectDetection.from_pretrained(persons_folder).eval()
    inputs = processor(images=images, size={"height": 96, "width": 96}, return_tensors="pt")
    with torch.no_grad():
        outputs = network(**inputs)
    wanted = processor.post_process_object_detection(
        outputs, threshold=0.3, target_sizes=[(90, 120), (50, 40)]
    )

    found = RtDetr(persons_folder).detect(images, image_size=96, conf=0.3, iou=1.0)

    for each, by_transformers, (height, width) in zip(found, wanted, ((90, 120), (50, 40)), strict=True):
        is_person = by_transformers["labels"] == 0
        assert is_person.sum() > 1
        np.testing.assert_allclose(each.conf, by_transformers["scores"][is_person], atol=1e-6)
        boxes = by_transformers["boxes"][is_person].numpy().clip(0, [width, height] * 2)
        np.testing.assert_allclose(each.boxes_xyxy, boxes, atol=1e-3)
        assert each.keypoints is None


def test_of_persons_who_overlap_the_surest_stays(persons_folder):
    detector = RtDetr(persons_folder)
    all_of_them, (apart,) = (
        detector.detect([noise(90, 120)], image_size=96, conf=0.1, iou=iou) for iou in (1.0, 0.0)
    )
    assert 1 <= len(apart.conf) < len(all_of_them[0].conf)
    assert apart.conf[0] == all_of_them[0].conf[0]
    assert detector.detect([], image_size=96, conf=0.1, iou=0.5) == []


def test_keypoints_are_those_that_transformers_finds_in_the_boxes(persons_folder, poses_folder):
    persons = RtDetr(persons_folder)
    images = [noise(90, 120), noise(50, 40, seed=1)]
    (first, second) = persons.detect(images, image_size=96, conf=0.3, iou=0.5)
    processor = VitPoseImageProcessor.from_pretrained(poses_folder)
    network = VitPoseForPoseEstimation.from_pretrained(poses_folder).eval()
    corners = first.boxes_xyxy
    boxes = [[[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in corners.tolist()]]
    pixels = processor([images[0]], boxes=boxes, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        outputs = network(pixels, dataset_index=torch.zeros(len(corners), dtype=torch.long))
    (wanted,) = processor.post_process_pose_estimation(outputs, boxes=boxes)

    found = TopDownPose(poses_folder, persons).detect(images, image_size=96, conf=0.3, iou=0.5)

    np.testing.assert_array_equal(found[0].boxes_xyxy, corners)
    assert found[0].keypoints is not None
    positions = np.stack([person["keypoints"].numpy() for person in wanted])
    confidences = np.stack([person["scores"].clamp(0, 1).numpy() for person in wanted])
    # Where two peaks of noise are alike to the last digit, either may win.
    assert (np.abs(found[0].keypoints[..., :2] - positions) < 0.01).mean() > 0.95
    np.testing.assert_allclose(found[0].keypoints[..., 2], confidences, atol=1e-4)
    assert found[1].keypoints is not None
    assert len(found[1].keypoints) == len(second.conf)


def test_a_picture_without_persons_has_no_keypoints(persons_folder, poses_folder):
    estimator = TopDownPose(poses_folder, RtDetr(persons_folder))
    (found,) = estimator.detect([noise(50, 40)], image_size=96, conf=1.0, iou=0.5)
    assert found.boxes_xyxy.shape == (0, 4)
    assert found.keypoints.shape == (0, 17, 3)
