import numpy as np
import pytest
from tiny_detectors import save_yunet

from bolid_pipeline.detection.yunet import YuNet
from bolid_pipeline.pretrained.weights import WeightsFile


@pytest.fixture(scope="module")
def yunet(tmp_path_factory):
    return YuNet(WeightsFile(path=save_yunet(tmp_path_factory.mktemp("yunet") / "yunet.onnx")))


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_boxes_are_in_px_of_the_given_picture(yunet):
    small = noise(96, 64)
    large = small.repeat(3, axis=0).repeat(3, axis=1)
    first, second = yunet.detect([small, large], image_size=96, conf=0.3, iou=0.3)
    assert len(first.conf) > 1
    np.testing.assert_allclose(second.boxes_xyxy, 3 * first.boxes_xyxy, atol=1e-3)
    np.testing.assert_allclose(second.conf, first.conf, atol=1e-5)
    assert first.keypoints is None


def test_faces_are_within_the_picture_and_the_surest_comes_first(yunet):
    (found,) = yunet.detect([noise(40, 120)], image_size=128, conf=0.1, iou=0.5)
    assert len(found.conf) > 1
    assert (np.diff(found.conf) <= 0).all()
    assert (found.boxes_xyxy[:, :2] < found.boxes_xyxy[:, 2:]).all()
    assert (found.boxes_xyxy >= 0).all()
    assert (found.boxes_xyxy <= [120, 40, 120, 40]).all()


def test_a_least_confidence_and_an_overlap_drop_faces(yunet):
    def count(conf, iou):
        return len(yunet.detect([noise(96, 96)], image_size=96, conf=conf, iou=iou)[0].conf)

    assert 0 < count(0.1, 0.1) < count(0.1, 0.9)
    assert count(1.0, 0.9) < count(0.1, 0.9)
    assert yunet.detect([], image_size=96, conf=0.1, iou=0.5) == []


def test_the_graph_of_the_tests_is_as_large_as_the_published_one(tmp_path):
    size = save_yunet(tmp_path / "yunet.onnx").stat().st_size
    assert size == pytest.approx(232_589, rel=0.05)  # published; names of layers make the difference
