"""L_id, absolute: the generated body's keypoints where the reference's are. It copies the pose along with the body.

Shape suffixes: B pictures, K keypoints.
"""

import torch

from bolid_pipeline.pose.skeleton import MIN_VISIBLE_CONF
from bolid_pipeline.training.pose_network import FoundKeypoints


def absolute_l_id(
    found: FoundKeypoints, keypoints_BK3: torch.Tensor, weights_B: torch.Tensor
) -> torch.Tensor:
    """L_id against the keypoints of real photos, a scalar.

    The weight of a picture is the pose network's confidence that it shows somebody, times `weights_B`.

    Args:
        found: keypoints that the pose network found in the generated pictures.
        keypoints_BK3: x, y in [0, 1] and confidence, of the real photos; only visible keypoints count.
        weights_B: weight of each picture, >= 0.
    """
    is_visible_BK = (keypoints_BK3[..., 2] >= MIN_VISIBLE_CONF).float()
    weights_BK = is_visible_BK * (found.person_B * weights_B)[:, None]
    return keypoint_loss(found.keypoints_BK2, keypoints_BK3[..., :2], weights_BK)


def keypoint_loss(
    found_BK2: torch.Tensor, wanted_BK2: torch.Tensor, weights_BK: torch.Tensor
) -> torch.Tensor:
    """Squared distance of keypoints, summed over the 17 of a body, the mean over pictures.

    It is 17 times the weighted mean over keypoints, so that its size does not depend on how much of a body a photo
    shows. Keypoints of weight 0 take no part.

    Args:
        found_BK2: x, y in [0, 1] in the generated pictures, with gradient.
        wanted_BK2: x, y in [0, 1] in the references.
        weights_BK: >= 0: what is visible in the reference, times how much the picture counts.

    Returns:
        A scalar, float32; 0 if all weights are 0.
    """
    num_keypoints = found_BK2.shape[1]
    squared_BK = (found_BK2.float() - wanted_BK2.float()).square().sum(-1)
    return num_keypoints * (squared_BK * weights_BK).sum() / weights_BK.sum().clamp_min(1e-8)
