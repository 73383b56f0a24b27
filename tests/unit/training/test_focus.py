import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from bolid_pipeline.latents.gaussian import sigma_px, weight_map
from bolid_pipeline.training.losses.diffusion import diffusion_loss
from bolid_pipeline.training.losses.focus import focus_weights

HEIGHT, WIDTH, BACKGROUND = 20, 12, 0.1


def _keypoints(seed: int = 0) -> torch.Tensor:
    """Two photos' keypoints at centres of cells, some of them invisible."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, WIDTH, (2, 17)), rng.integers(0, HEIGHT, (2, 17))
    confidence = rng.integers(0, 2, (2, 17))
    return torch.from_numpy(np.stack([(x + 0.5) / WIDTH, (y + 0.5) / HEIGHT, confidence], axis=-1)).float()


def test_it_is_the_gaussian_weighting_of_the_bodies_pictures():
    keypoints = _keypoints()
    for weights, of_photo in zip(focus_weights(keypoints, HEIGHT, WIDTH, BACKGROUND), keypoints, strict=True):
        places = of_photo[:, :2].numpy() * (WIDTH, HEIGHT) - 0.5
        known = weight_map(places, of_photo[:, 2].numpy() > 0.5, HEIGHT, WIDTH, sigma_px(HEIGHT, WIDTH))
        wanted = torch.from_numpy(BACKGROUND + (1 - BACKGROUND) * known)
        torch.testing.assert_close(weights, wanted / wanted.mean())


def test_every_photo_counts_alike():
    weights = focus_weights(_keypoints(1), HEIGHT, WIDTH, BACKGROUND)
    torch.testing.assert_close(weights.mean((1, 2)), torch.ones(2))


def test_a_photo_without_a_visible_keypoint_is_weighted_alike_everywhere():
    keypoints = _keypoints()
    keypoints[1, :, 2] = 0
    torch.testing.assert_close(
        focus_weights(keypoints, HEIGHT, WIDTH, BACKGROUND)[1], torch.ones(HEIGHT, WIDTH)
    )


@pytest.mark.parametrize("where", ["on the person", "beside the person"])
def test_an_error_on_the_person_costs_more(where):
    target = torch.zeros(1, 4, HEIGHT, WIDTH)
    keypoints = torch.tensor([[[0.5 / WIDTH, 0.5 / HEIGHT, 1.0]]]).expand(1, 17, 3)
    row, column = (0, 0) if where == "on the person" else (HEIGHT - 1, WIDTH - 1)
    prediction = target.clone()
    prediction[:, :, row, column] = 1.0
    arguments = (prediction, target, torch.tensor([500]), DDPMScheduler())
    weights = focus_weights(keypoints, HEIGHT, WIDTH, BACKGROUND)
    focused, alike = diffusion_loss(*arguments, weights_BHW=weights), diffusion_loss(*arguments)
    assert (focused > alike) == (where == "on the person")
