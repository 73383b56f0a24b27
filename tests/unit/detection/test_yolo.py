import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bolid_pipeline.detection.yolo import build_yolo, detect, load_yolo, save_yolo
from bolid_pipeline.errors import UnreadablePhoto, WeightsMismatch, WeightsMissing
from bolid_pipeline.images.decoding import decode_rgb

from ultralytics.utils import AUTOINSTALL, ONLINE, SETTINGS  # isort: skip
from ultralytics.utils.events import events  # isort: skip

KINDS = [("yolo11n-pose.yaml", 1, (17, 3)), ("yolo11n.yaml", 3, None)]


class RectangleFinder(torch.nn.Module):
    """Finds the white rectangle of each picture: its box, and as keypoints the two corners of that box."""

    def __init__(self, kpt_shape=(2, 3)):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        head = SimpleNamespace(nc=1, end2end=False)
        if kpt_shape:
            head.kpt_shape = kpt_shape
        self.model = [head]

    def forward(self, images_B3HW):
        rows = []
        for image_HW in images_B3HW.amin(dim=1):
            y, x = (image_HW > 0.9).nonzero().T
            x1, y1, x2, y2 = x.min(), y.min(), x.max() + 1, y.max() + 1
            corners = [x1, y1, 0.75, x2, y2, 0.5] if hasattr(self.model[0], "kpt_shape") else []
            rows.append(torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, 0.875, *corners]))
        return torch.stack(rows)[..., None].repeat(1, 1, 3)


def photo(height, width, box):
    image = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 255
    return image


@pytest.mark.parametrize(
    ("height", "width", "box"),
    [
        (300, 200, (50, 60, 150, 240)),
        (200, 300, (0, 0, 300, 100)),
        (64, 64, (8, 8, 24, 40)),
        (1400, 1000, (700, 7, 993, 1400)),
    ],
)
def test_boxes_and_keypoints_are_in_px_of_the_given_picture(height, width, box):
    (found,) = detect(RectangleFinder(), [photo(height, width, box)], image_size=320, conf=0.5)

    tolerance = 1 + max(height, width) / 320  # one px of either picture
    assert found.conf.tolist() == [0.875]
    np.testing.assert_allclose(found.boxes_xyxy, [box], atol=tolerance)
    assert found.keypoints is not None
    np.testing.assert_allclose(found.keypoints, [[[*box[:2], 0.75], [*box[2:], 0.5]]], atol=tolerance)


def test_a_batch_of_mixed_sizes_gives_one_answer_per_picture():
    boxes = [(10, 20, 40, 60), (0, 100, 300, 200)]
    found = detect(
        RectangleFinder(None), [photo(100, 50, boxes[0]), photo(200, 400, boxes[1])], image_size=320, conf=0.5
    )
    for each, box in zip(found, boxes, strict=True):
        np.testing.assert_allclose(each.boxes_xyxy, [box], atol=2)
        assert each.keypoints is None
    assert detect(RectangleFinder(), [], image_size=320, conf=0.5) == []


def test_unsure_detections_are_dropped():
    (found,) = detect(RectangleFinder(), [photo(64, 64, (8, 8, 24, 40))], image_size=64, conf=0.9)
    assert found.boxes_xyxy.shape == (0, 4)
    assert found.keypoints.shape == (0, 2, 3)


def test_scaling_moves_positions_and_leaves_confidences():
    (found,) = detect(RectangleFinder(), [photo(64, 64, (8, 16, 24, 40))], image_size=64, conf=0.5)
    larger = found.scaled(2, 4)
    np.testing.assert_allclose(larger.boxes_xyxy, [[16, 64, 48, 160]])
    assert larger.keypoints is not None
    np.testing.assert_allclose(larger.keypoints, [[[16, 64, 0.75], [48, 160, 0.5]]])


@pytest.mark.parametrize(("config", "num_classes", "kpt_shape"), KINDS)
def test_saved_weights_come_back_bit_by_bit_in_float16(config, num_classes, kpt_shape, tmp_path):
    torch.manual_seed(0)
    model = build_yolo(config, num_classes, kpt_shape)
    for value in model.buffers():
        if value.is_floating_point():
            value.normal_(1, 0.1)
    path = tmp_path / "model.safetensors"

    save_yolo(model, path, config)
    loaded = load_yolo(path)

    for name, value in model.state_dict().items():
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(loaded.state_dict()[name], expected), name
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    (found,) = detect(loaded, [photo(100, 60, (10, 10, 50, 90))], image_size=64, conf=0.0)
    assert len(found.conf)
    assert (found.keypoints is None) == (kpt_shape is None)
    if kpt_shape:
        assert found.keypoints.shape[1:] == kpt_shape


def test_other_weights_are_refused_by_name(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(WeightsMissing, match=r"model\.safetensors"):
        load_yolo(path)
    save_yolo(build_yolo("yolo11n.yaml"), path, "yolo11s.yaml")
    with pytest.raises(WeightsMismatch, match=r"does not fit yolo11s\.yaml"):
        load_yolo(path)
    with pytest.raises(WeightsMismatch, match="pinned"):
        load_yolo(path, sha256="0" * 64)


def test_a_checkpoint_of_ultralytics_loads_once_pinned(tmp_path):
    path = tmp_path / "model.pt"
    model = build_yolo("yolo11n-pose.yaml", 1, (17, 3))
    torch.save({"model": model, "train_args": {}}, path)
    with pytest.raises(WeightsMismatch, match="pin its sha256"):
        load_yolo(path)
    loaded = load_yolo(path, hashlib.sha256(path.read_bytes()).hexdigest())
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), model.parameters(), strict=True))


def test_ultralytics_sends_nothing_home_and_installs_nothing():
    assert not ONLINE
    assert not AUTOINSTALL
    assert not SETTINGS["sync"]
    assert not events.enabled
    with pytest.raises(UnreadablePhoto):  # ultralytics' own Image.open would ask for a package here
        decode_rgb(b"no photo")
