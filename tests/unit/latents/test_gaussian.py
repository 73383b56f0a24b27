import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from bolid_pipeline.latents.gaussian import apply_weights, sigma_px, weight_map

SIDES = st.integers(1, 40)
SIGMAS = st.floats(0.25, 60)
KEYPOINTS = hnp.arrays(np.float64, st.tuples(st.integers(1, 17), st.just(2)), elements=st.floats(-50, 90))


@st.composite
def skeletons(draw) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Keypoints, and which are visible, at least one of them."""
    keypoints = draw(KEYPOINTS)
    is_visible = draw(hnp.arrays(bool, len(keypoints)))
    is_visible[draw(st.integers(0, len(keypoints) - 1))] = True
    return keypoints, is_visible


def literal(keypoints, is_visible, height, width, sigma):
    """Equations (11) to (13), as they stand."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    maps = [np.exp(-((x - xi) ** 2 + (y - yi) ** 2) / (2 * sigma**2)) for xi, yi in keypoints[is_visible]]
    largest = np.max(maps, axis=0)
    return largest / largest.max()


def test_the_equations():
    keypoints = np.array([[10.0, 5.0], [30.5, 12.25], [0.0, 0.0]])
    is_visible = np.array([True, True, False])
    np.testing.assert_allclose(
        weight_map(keypoints, is_visible, 20, 40, 3.0), literal(keypoints, is_visible, 20, 40, 3.0), atol=1e-6
    )


@given(skeletons(), SIDES, SIDES, SIGMAS)
def test_weights_are_in_0_to_1_and_reach_1(skeleton, height, width, sigma):
    keypoints, is_visible = skeleton
    weights = weight_map(keypoints, is_visible, height, width, sigma)
    assert weights.shape == (height, width)
    assert weights.dtype == np.float32
    assert weights.min() >= 0
    assert weights.max() == 1


@given(skeletons(), SIDES, SIDES, SIGMAS)
def test_invisible_keypoints_take_no_part(skeleton, height, width, sigma):
    keypoints, is_visible = skeleton
    nowhere = np.where(is_visible[:, None], keypoints, np.nan)
    expected = weight_map(keypoints[is_visible], np.ones(is_visible.sum()), height, width, sigma)
    np.testing.assert_array_equal(weight_map(nowhere, is_visible, height, width, sigma), expected)


@given(skeletons(), st.randoms(use_true_random=False), SIDES, SIDES, SIGMAS)
def test_the_order_of_keypoints_does_not_matter(skeleton, random, height, width, sigma):
    keypoints, is_visible = skeleton
    order = random.sample(range(len(keypoints)), len(keypoints))
    np.testing.assert_array_equal(
        weight_map(keypoints[order], is_visible[order], height, width, sigma),
        weight_map(keypoints, is_visible, height, width, sigma),
    )


@given(
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), min_size=1, max_size=5),
    st.integers(0, 10),
    st.integers(0, 10),
    SIGMAS,
)
def test_moving_the_keypoints_moves_the_map(keypoints, dx, dy, sigma):
    everywhere = np.ones(len(keypoints), bool)
    still = weight_map(keypoints, everywhere, 20, 20, sigma)
    moved = weight_map(np.add(keypoints, (dx, dy)), everywhere, 30, 30, sigma)
    np.testing.assert_allclose(moved[dy : dy + 20, dx : dx + 20], still, atol=1e-6)


@given(skeletons(), SIDES, SIDES, SIGMAS)
def test_mirroring_the_keypoints_mirrors_the_map(skeleton, height, width, sigma):
    keypoints, is_visible = skeleton
    mirrored = np.column_stack([width - 1 - keypoints[:, 0], keypoints[:, 1]])
    np.testing.assert_allclose(
        weight_map(mirrored, is_visible, height, width, sigma)[:, ::-1],
        weight_map(keypoints, is_visible, height, width, sigma),
        atol=1e-4,
    )


def test_keypoints_far_outside_still_give_a_map():
    weights = weight_map([[1e6, 5]], [True], 10, 10, 1.0)
    assert weights[5, 9] == 1
    assert np.isfinite(weights).all()


@pytest.mark.parametrize(
    ("keypoints", "is_visible", "sigma", "message"),
    [
        ([[1, 1]], [False], 3, "no keypoint is visible"),
        ([[np.nan, 1]], [True], 3, "no finite position"),
        ([[1, 1]], [True], 0, "sigma_px must be above 0"),
        ([[1, 1]], [True], np.nan, "sigma_px must be above 0"),
    ],
)
def test_nothing_to_weight_by_is_an_error(keypoints, is_visible, sigma, message):
    with pytest.raises(ValueError, match=message):
        weight_map(keypoints, is_visible, 4, 4, sigma)


@given(
    hnp.arrays(np.uint8, (6, 7, 3)),
    hnp.arrays(np.float32, (6, 7), elements=st.floats(0, 1, width=32)),
    st.floats(0, 1),
)
def test_weighting_follows_the_equation_and_keeps_the_type(image, weights, alpha):
    expected = image * (alpha + (1 - alpha) * weights[..., None].astype(np.float64))
    weighted = apply_weights(image, weights, alpha)
    assert weighted.dtype == np.uint8
    assert np.abs(weighted - expected).max() <= 0.501
    floats = image.astype(np.float32) / 255
    np.testing.assert_allclose(apply_weights(floats, weights, alpha), expected / 255, atol=1e-5)
    assert apply_weights(floats, weights, alpha).dtype == np.float32
    np.testing.assert_array_equal(apply_weights(image[..., 0], weights, alpha), weighted[..., 0])


def test_the_thesis_sigma_scales_with_the_side():
    assert sigma_px(1024, 1024) == pytest.approx(50)
    assert sigma_px(64, 64) == pytest.approx(3.125)
    assert sigma_px(2048, 512) == pytest.approx(50)
