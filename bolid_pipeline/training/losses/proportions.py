"""L_id, pose-free: the generated body's proportions are the person's, whatever the pose.

A limb's length in a picture is the person's own length for it, times the size of the figure, shortened by perspective.
In logarithms that is a sum, and a mean over limbs takes the size of the figure out.

Shape suffixes: R photos, B pictures, K keypoints, M limbs.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from bolid_pipeline.pose.skeleton import EDGES, MIN_VISIBLE_CONF
from bolid_pipeline.training.pose_network import FoundKeypoints

LIMBS = tuple(edge for edge in EDGES if min(edge) >= 5)
"""Bones of shoulders, hips, trunk, arms and legs: pairs of keypoints. The face's have no length worth comparing."""

_RESOLUTION = 0.03  # of a picture's height; about how far off a found keypoint is
_OUTLIER = 0.25  # of a limb's length: more than people differ by
_SHORTEST = 1e-3  # of a picture's height; keeps the logarithm finite where two keypoints coincide


def proportion_l_id(
    found: FoundKeypoints, wanted_BM: torch.Tensor, weights_BM: torch.Tensor, *, aspect: float
) -> torch.Tensor:
    """L_id against the proportions of persons, a scalar.

    The weight of a limb is its confidence from `limb_lengths`, times the pose network's confidence that the picture
    shows somebody, times `weights_BM`.

    Args:
        found: keypoints that the pose network found in the generated pictures.
        wanted_BM: the persons' log proportions, from `typical_proportions`.
        weights_BM: weight of each limb, >= 0.
        aspect: width of the pictures over their height.
    """
    lengths_BM, sure_BM = limb_lengths(found.keypoints_BK2, found.confidence_BK, aspect)
    return proportion_loss(lengths_BM, wanted_BM, sure_BM * weights_BM * found.person_B[:, None])


def limb_lengths(
    keypoints_BK2: torch.Tensor, confidence_BK: torch.Tensor, aspect: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logarithm of each limb's length in a picture, and its confidence.

    The confidence is that of the less certain end, reduced for short limbs: the length of a limb that points at the
    camera, or is as short as the keypoints' error, is meaningless, and the gradient of its logarithm is unbounded.

    Args:
        keypoints_BK2: x, y in [0, 1] of the picture.
        confidence_BK: in [0, 1].
        aspect: the picture's width over its height.

    Returns:
        (B, M) log of the length as a fraction of the picture's height; (B, M) weights.
    """
    x_BK, y_BK = keypoints_BK2.float().unbind(-1)
    first_BM2, second_BM2 = _ends(torch.stack([x_BK * aspect, y_BK], dim=-1))
    squared_BM = (first_BM2 - second_BM2).square().sum(-1)
    sure_BM = torch.minimum(*_ends(confidence_BK)).float()
    long_BM = squared_BM.detach() / (squared_BM.detach() + _RESOLUTION**2)
    weights_BM = sure_BM * long_BM
    return 0.5 * (squared_BM + _SHORTEST**2).log(), weights_BM


def _ends(of_keypoints_BK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both ends (B, M, ...) of each limb. An index by a list would be copied to the device, and the step would wait."""
    keypoints = of_keypoints_BK.unbind(1)
    first, second = (
        torch.stack([keypoints[end] for end in ends], dim=1) for ends in zip(*LIMBS, strict=True)
    )
    return first, second


def proportion_loss(
    found_BM: torch.Tensor, wanted_BM: torch.Tensor, weights_BM: torch.Tensor
) -> torch.Tensor:
    """Mean squared difference of log proportions, over the limbs that count; 0.01 is about 10 % of a limb's length.

    Beyond `_OUTLIER` the loss is linear (twice that of Huber, 1964), because otherwise one misplaced keypoint would
    outweigh all others together.

    Args:
        found_BM: log lengths in the generated pictures, with gradient, whatever the figures' sizes.
        wanted_BM: the persons' log proportions, from `typical_proportions`.
        weights_BM: >= 0. A picture with a single limb has no proportion and gives 0.

    Returns:
        A scalar, float32; 0 if all weights are 0.
    """
    share_BM = weights_BM / weights_BM.sum(1, keepdim=True).clamp_min(1e-8)
    difference_BM = found_BM - wanted_BM
    without_size_BM = difference_BM - (difference_BM * share_BM).sum(1, keepdim=True)
    robust_BM = 2 * F.huber_loss(
        without_size_BM, torch.zeros_like(without_size_BM), reduction="none", delta=_OUTLIER
    )
    return (robust_BM * weights_BM).sum() / weights_BM.sum().clamp_min(1e-8)


def typical_proportions(
    lengths_RM: NDArray[np.floating], weights_RM: NDArray[np.floating], *, num_rounds: int = 10
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A person's log proportions from all photos, by Tukey's median polish: photo's size + limb's length + rest.

    Medians are used because some limbs of every photo point at the camera and look short.

    Args:
        lengths_RM: log lengths of `limb_lengths`.
        weights_RM: their confidences; a limb below MIN_VISIBLE_CONF is left out.
        num_rounds: rounds of subtracting sizes and lengths in turn.

    Returns:
        (M,) log proportions, and (M,) the share of photos that show the limb; 0 for one that none shows.
    """
    rest_RM = np.where(weights_RM >= MIN_VISIBLE_CONF, lengths_RM, np.nan).astype(np.float64)
    is_seen_M = (weights_RM >= MIN_VISIBLE_CONF).any(axis=0)
    rest_RM = rest_RM[(weights_RM >= MIN_VISIBLE_CONF).any(axis=1)][:, is_seen_M]
    found_M = np.zeros(rest_RM.shape[1])
    for _ in range(num_rounds if rest_RM.size else 0):
        rest_RM = rest_RM - _nanmedian(rest_RM, axis=1)
        step_M = _nanmedian(rest_RM, axis=0)[0]
        rest_RM, found_M = rest_RM - step_M, found_M + step_M
    proportions_M = np.zeros(weights_RM.shape[1], np.float32)
    proportions_M[is_seen_M] = found_M
    return proportions_M, (weights_RM >= MIN_VISIBLE_CONF).mean(axis=0).astype(np.float32)


def _nanmedian(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The median along an axis, which keeps a length of 1, of the numbers that are not NaN; there is at least one."""
    # np.nanmedian works on masked arrays if there are less than 600 numbers, which takes thirty times as long.
    ordered = np.sort(values, axis=axis)  # NaN last
    last = np.sum(~np.isnan(values), axis=axis, keepdims=True) - 1
    low, high = (np.take_along_axis(ordered, place, axis) for place in (last // 2, last - last // 2))
    return (low + high) / 2
