"""The detectors of the permissive deployments, and L_id by a ViTPose, on a GPU of pretence."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from tiny_detectors import save_rt_detr, save_vitpose

from bolid_pipeline.detection.rt_detr import RtDetr
from bolid_pipeline.detection.vitpose import TopDownPose
from bolid_pipeline.training.pose_network import open_pose_network


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("people")
    return save_rt_detr(folder / "rt_detr"), save_vitpose(folder / "vitpose", experts=6)


@pytest.fixture(autouse=True)
def gradients_come_back() -> Iterator[None]:
    """The inference mode of pretence leaves gradients off where one is entered within another."""
    was_on = torch.is_grad_enabled()
    yield
    torch.set_grad_enabled(was_on)


def test_persons_and_their_poses_are_found_on_a_gpu(folders, gpu):
    persons, poses = folders
    estimator = TopDownPose(poses, RtDetr(persons)).to(gpu)
    image = np.random.default_rng(0).integers(0, 256, (60, 40, 3), np.uint8)
    (found,) = estimator.detect([image], image_size=64, conf=0.1, iou=0.5)
    assert found.keypoints is not None
    assert found.keypoints.shape == (len(found.conf), 17, 3)


def test_l_id_by_a_vitpose_stays_on_a_gpu(folders, gpu):
    network = open_pose_network(folders[1], 64).to(gpu)
    found = network(torch.rand(1, 3, 64, 48, device=gpu))
    assert {value.device.type for value in (found.keypoints_BK2, found.person_B)} == {"cuda"}
