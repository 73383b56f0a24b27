"""L_id's ViTPose: the same as transformers' own code, but for the gradient."""

import numpy as np
import pytest
import torch
from tiny_detectors import save_vitpose
from transformers import VitPoseImageProcessor
from transformers.models.vitpose.modeling_vitpose import VitPoseEstimatorOutput

from bolid_pipeline.training.losses.keypoints import keypoint_loss
from bolid_pipeline.training.pose_by_vitpose import VitPoseNetwork, _cut, find_hills

HEIGHT, WIDTH = 120, 80
BOX = (12.0, 20.0, 60.0, 110.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_vitpose(tmp_path_factory.mktemp("vitpose"))


@pytest.fixture(scope="module")
def network(folder):
    return VitPoseNetwork(folder)


def hills(middles, columns=48, rows=64, sigma=2.0, noise=0.0):
    """(1, K, rows, columns) Gaussians of height 0.9 about cells, on a floor of noise."""
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    maps = [0.9 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2)) for cx, cy in middles]
    floor = noise * np.random.default_rng(0).random((len(maps), rows, columns))
    return torch.from_numpy(np.stack(maps) + floor)[None].float()


def test_a_hill_is_where_transformers_finds_it():
    middles = [(10.0, 12.0), (23.4, 40.7), (40.25, 8.5), (30.0, 61.0)]
    heatmaps = hills(middles, noise=0.01)
    box = (0.0, 0.0, 191.0 / 1.25, 255.0 / 1.25)  # enlarged by 1.25, one cell is 191/47 px
    processor = VitPoseImageProcessor()
    ((person,),) = processor.post_process_pose_estimation(
        VitPoseEstimatorOutput(heatmaps=heatmaps), boxes=[[box]]
    )
    centre = torch.tensor([box[2] / 2, box[3] / 2])
    size = torch.tensor([box[3] * 1.25 * 0.75, box[3] * 1.25])

    position, peak = find_hills(heatmaps)

    found = centre - size / 2 + position[0] * size
    np.testing.assert_allclose(found, person["keypoints"], atol=0.5 * 191 / 47)  # half a cell
    np.testing.assert_allclose(position[0, 0] * torch.tensor([47, 63]), middles[0], atol=0.1)
    np.testing.assert_allclose(peak[0], person["scores"], atol=1e-6)


def test_noise_far_from_the_hill_does_not_move_it():
    clean, _ = find_hills(hills([(8.0, 10.0)]))
    noisy, _ = find_hills(hills([(8.0, 10.0)], noise=0.05))
    assert (noisy - clean).abs().max() < 0.2 / 47


def test_what_the_network_sees_of_a_box_is_what_transformers_cuts_out(network, folder):
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    image = image.repeat(8, axis=0).repeat(8, axis=1)  # no detail that the ways of resampling could differ in
    x1, y1, x2, y2 = BOX
    processor = VitPoseImageProcessor.from_pretrained(folder)
    (wanted,) = processor([image], boxes=[[[x1, y1, x2 - x1, y2 - y1]]], return_tensors="pt")["pixel_values"]
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255

    corner, extent = network._view(torch.tensor([BOX]), 1.25)
    (crop,) = _cut(pixels, corner, extent, (256, 192))

    crop = (crop - network._mean_311) / network._std_311
    inside = (slice(None), slice(40, 216), slice(40, 152))  # not the black beyond the picture
    assert (crop[inside] - wanted[inside]).abs().mean() < 0.02


def test_the_second_look_is_at_the_box_round_the_keypoints(network, monkeypatch):
    looks = []

    def look(pixels, box, margin):
        looks.append((box, margin))
        return VitPoseNetwork._look(network, pixels, box, margin)

    monkeypatch.setattr(network, "_look", look)
    found = network(torch.rand(2, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0)))
    (whole, _), (box, _) = looks
    assert whole.tolist() == [[0, 0, WIDTH, HEIGHT]] * 2
    assert (box[:, 2:] >= box[:, :2]).all()
    assert not torch.equal(box, whole)
    assert found.keypoints_BK2.shape == (2, 17, 2)


def test_the_gradient_agrees_with_finite_differences(folder):
    network = VitPoseNetwork(folder).double()
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, HEIGHT, WIDTH, generator=generator, dtype=torch.float64).requires_grad_()
    wanted, visible = torch.rand(1, 17, 2, generator=generator, dtype=torch.float64), torch.ones(1, 17)
    box = torch.tensor([BOX], dtype=torch.float64)

    def loss(pixels):
        return keypoint_loss(network._look(pixels, box, 1.5).keypoints_BK2, wanted, visible)

    (gradient,) = torch.autograd.grad(loss(picture), picture)
    direction = torch.randn(picture.shape, generator=generator, dtype=torch.float64)
    step = 1e-3
    with torch.no_grad():
        slope = (loss(picture + step * direction) - loss(picture - step * direction)) / (2 * step)
    assert (gradient * direction).sum().item() == pytest.approx(slope.item(), rel=0.02)
