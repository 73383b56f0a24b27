"""L_id, absolute: the generated body's keypoints where the reference's are. It copies the pose along with the body.

Shape suffixes: B pictures, K keypoints.
"""

import torch


def keypoint_loss(
    found_BK2: torch.Tensor, wanted_BK2: torch.Tensor, weights_BK: torch.Tensor
) -> torch.Tensor:
    """Squared distance of keypoints, summed over the 17 of a body, the mean over pictures.

    Keypoints of weight 0 take no part; a body that shows few keypoints counts as if the others were as far off, so that
    the size of the term does not depend on how much of a body a photo shows.

    Args:
        found_BK2: x, y in [0, 1] of the generated pictures, with gradient.
        wanted_BK2: those of the references.
        weights_BK: >= 0: what is visible in the reference, times how much the picture counts.

    Returns:
        A scalar, float32; 0 where nothing has a weight.
    """
    num_keypoints = found_BK2.shape[1]
    squared_BK = (found_BK2.float() - wanted_BK2.float()).square().sum(-1)
    return num_keypoints * (squared_BK * weights_BK).sum() / weights_BK.sum().clamp_min(1e-8)
