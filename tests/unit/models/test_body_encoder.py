from pathlib import Path

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.models.body_encoder import BodyEncoder, BodyPosterior, num_view_channels, to_view_grid
from bolid_pipeline.pose.skeleton import GROUPS, KEYPOINT_NAMES, NUM_KEYPOINTS

GRID = 8
CHANNELS = num_view_channels(4)


@pytest.fixture(scope="module", params=[None, 4, 16, 64], ids=["vector", "dense4", "dense16", "dense64"])
def encoder(request: pytest.FixtureRequest) -> BodyEncoder:
    torch.manual_seed(0)
    encoder = BodyEncoder(
        grid=GRID, width=32, num_layers=2, num_heads=2, c_body_dim=192, num_dense_tokens=request.param
    )
    for parameter in encoder.to_logvar.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return encoder.eval()


def _views(batch: int, num_views: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    latents = 3 * torch.randn(batch, num_views, 4, GRID, GRID, generator=generator)
    maps = torch.rand(batch, num_views, 1 + NUM_KEYPOINTS, GRID, GRID, generator=generator) / GRID**2
    return torch.cat([latents, maps], 2), 0.1 + torch.rand(batch, num_views, generator=generator)


def _assert_same(encoder: BodyEncoder, views: tuple[torch.Tensor, torch.Tensor], others) -> None:
    posterior, other = encoder(*views), encoder(*others)
    torch.testing.assert_close(other.mean_BD, posterior.mean_BD, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(other.logvar_BD, posterior.logvar_BD, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("num_views", [1, 2, 100])
def test_any_number_of_views(encoder: BodyEncoder, num_views: int) -> None:
    posterior = encoder(*_views(3, num_views))
    assert posterior.mean_BD.shape == posterior.logvar_BD.shape == (3, 192)
    assert torch.isfinite(posterior.mean_BD).all()


def test_the_order_of_views_changes_nothing(encoder: BodyEncoder) -> None:
    views, weights = _views(2, 7)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    _assert_same(encoder, (views, weights), (views[:, order], weights[:, order]))


def test_padding_changes_nothing(encoder: BodyEncoder) -> None:
    views, weights = _views(2, 3)
    noise, _ = _views(2, 4, seed=9)
    padded = torch.cat([views, noise], 1), torch.cat([weights, torch.zeros(2, 4)], 1)
    _assert_same(encoder, (views, weights), padded)


def test_other_people_of_the_batch_change_nothing(encoder: BodyEncoder) -> None:
    views, weights = _views(3, 4)
    alone, together = encoder(views[1:2], weights[1:2]), encoder(views, weights)
    torch.testing.assert_close(together.mean_BD[1:2], alone.mean_BD, atol=1e-5, rtol=1e-5)


def test_a_view_repeated_is_a_view_of_twice_the_weight(encoder: BodyEncoder) -> None:
    views, weights = _views(1, 3)
    repeated = torch.cat([views, views[:, :1]], 1), torch.cat([weights, weights[:, :1]], 1)
    _assert_same(encoder, repeated, (views, weights * torch.tensor([2.0, 1.0, 1.0])))


def test_every_view_and_its_weight_count(encoder: BodyEncoder) -> None:
    views, weights = _views(1, 3)
    mean = encoder(views, weights).mean_BD
    assert not torch.allclose(encoder(views, weights * torch.tensor([1.0, 0.2, 1.0])).mean_BD, mean)
    assert not torch.allclose(encoder(views, weights * torch.tensor([1.0, 0.0, 1.0])).mean_BD, mean)


def test_nobody_seen_gives_zero(encoder: BodyEncoder) -> None:
    views, weights = _views(2, 3)
    weights[1] = 0
    posterior = encoder(views, weights)
    assert posterior.mean_BD[0].abs().sum() > 0
    assert not posterior.mean_BD[1].any()
    assert not posterior.sample(torch.ones_like(posterior.mean_BD))[1].any()
    posterior.mean_BD.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters() if p.grad is not None)
    encoder.zero_grad()


def test_every_parameter_learns(encoder: BodyEncoder) -> None:
    posterior = encoder(*_views(2, 3))
    (posterior.mean_BD.square().sum() + posterior.logvar_BD.square().sum()).backward()
    silent = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
    encoder.zero_grad()
    assert silent == []


def test_samples_are_as_far_from_the_mean_as_their_noise_in_standard_deviations(encoder: BodyEncoder) -> None:
    posterior = encoder(*_views(2, 3))
    noise = torch.randn(posterior.mean_BD.shape)
    deviation = (posterior.sample(noise) - posterior.mean_BD) / (0.5 * posterior.logvar_BD).exp()
    torch.testing.assert_close(deviation, noise, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "shape", [(2, 3, 5, GRID, GRID), (2, 2, CHANNELS, GRID, GRID), (2, 3, CHANNELS, GRID, GRID + 1)]
)
def test_wrong_shapes_are_named(encoder: BodyEncoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be \(B, N, 22, 8, 8\)"):
        encoder(torch.zeros(shape), torch.ones(2, 3))


@pytest.mark.parametrize("num_dense_tokens", [6, 20])
def test_tokens_that_do_not_fit_are_named(num_dense_tokens: int) -> None:
    with pytest.raises(ConfigurationError, match=f"multiple of 4 that divides .*not {num_dense_tokens}"):
        BodyEncoder(c_body_dim=192, num_dense_tokens=num_dense_tokens)


def test_save_and_load_is_exact(encoder: BodyEncoder, tmp_path: Path) -> None:
    encoder.save_pretrained(tmp_path)
    loaded = BodyEncoder.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    assert torch.equal(loaded(*_views(2, 3)).mean_BD, encoder(*_views(2, 3)).mean_BD)


def _skeleton(**at: tuple[float, float, float]) -> torch.Tensor:
    """Keypoints (17, 3), all invisible but those given."""
    keypoints = torch.zeros(17, 3)
    for name, x_y_confidence in at.items():
        keypoints[KEYPOINT_NAMES.index(name)] = torch.tensor(x_y_confidence)
    return keypoints


def test_dense_tokens_see_their_own_group_only() -> None:
    torch.manual_seed(0)
    encoder = BodyEncoder(grid=GRID, width=32, num_layers=1, num_heads=2, c_body_dim=64, num_dense_tokens=4)
    keypoints = _skeleton(nose=(0.5, 0.1, 1.0), left_hip=(0.5, 0.5, 1.0), left_ankle=(0.5, 0.9, 1.0))
    latents = torch.zeros(2, 4, GRID, GRID)
    latents[1, :, 7:] = 3.0  # where the ankle is
    views = torch.stack([to_view_grid(latent, keypoints, GRID) for latent in latents])[:, None]
    before, after = encoder(views, torch.ones(2, 1)).mean_BD.unflatten(1, (4, 16))
    is_changed = {name: not torch.equal(*pair) for name, *pair in zip(GROUPS, before, after, strict=True)}
    assert is_changed == {"head": False, "torso": False, "arms": False, "legs": True}


def test_longer_legs_are_another_body(encoder: BodyEncoder) -> None:
    latent = torch.ones(4, GRID, GRID)
    at = {"left_shoulder": (0.5, 0.2, 1.0), "left_hip": (0.5, 0.5, 1.0)}
    short, long = (
        to_view_grid(latent, _skeleton(**at, left_knee=(0.5, y, 1.0)), GRID)[None, None] for y in (0.6, 0.8)
    )
    weights = torch.ones(1, 1)
    assert not torch.allclose(encoder(short, weights).mean_BD, encoder(long, weights).mean_BD, atol=1e-3)


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"), [(16, 16, 8, 8), (20, 12, 8, 5), (12, 20, 5, 8)]
)
def test_a_view_keeps_its_proportions(height: int, width: int, rows: int, columns: int) -> None:
    view = to_view_grid(torch.full((4, height, width), 2.0), torch.zeros(17, 3), GRID)
    assert view.shape == (CHANNELS, GRID, GRID)
    assert view[4].sum() == rows * columns
    assert torch.equal(view[0], 2 * view[4])
    assert not view[5:].any()


def test_a_keypoint_map_lies_where_the_keypoint_is_and_sums_up_to_its_confidence() -> None:
    keypoints = _skeleton(nose=(0.25, 0.3, 0.8), right_ankle=(0.75, 0.8, 1.0), left_wrist=(0.5, 0.5, 0.0))
    maps = dict(zip(KEYPOINT_NAMES, to_view_grid(torch.zeros(4, 32, 16), keypoints, 16)[5:], strict=True))
    # 16 rows and 8 columns, which are columns 4..11 of the grid.
    assert divmod(int(maps["nose"].argmax()), 16) in {(4, 5), (4, 6)}
    assert divmod(int(maps["right_ankle"].argmax()), 16) in {(12, 9), (12, 10)}
    assert maps["nose"].sum().item() == pytest.approx(0.8, abs=0.05)
    assert maps["right_ankle"].sum().item() == pytest.approx(1.0, abs=0.05)
    assert not maps["left_wrist"].any()
    assert not maps["right_ankle"][:, :4].any()  # outside of the picture


def test_views_without_a_keypoint_leave_its_tokens_to_the_others(encoder: BodyEncoder) -> None:
    generator = torch.Generator().manual_seed(2)
    with_nose = to_view_grid(torch.randn(4, 8, 8, generator=generator), _skeleton(nose=(0.5, 0.5, 1.0)), GRID)
    without = to_view_grid(torch.randn(4, 8, 8, generator=generator), _skeleton(), GRID)
    other = to_view_grid(torch.randn(4, 8, 8, generator=generator), _skeleton(), GRID)
    first, second = (
        encoder(torch.stack([with_nose, blind])[None], torch.ones(1, 2)).mean_BD for blind in (without, other)
    )
    torch.testing.assert_close(first, second, atol=1e-6, rtol=0)


def test_kl_is_the_known_divergence() -> None:
    mean, logvar = torch.randn(4, 7), torch.randn(4, 7)
    expected = kl_divergence(Normal(mean, (0.5 * logvar).exp()), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(BodyPosterior(mean, logvar, torch.ones(4).bool()).kl(), expected)


def test_people_without_views_do_not_count_in_kl() -> None:
    mean = torch.randn(2, 7)
    logvar = torch.zeros(2, 7)
    alone = BodyPosterior(mean[:1], logvar[:1], torch.tensor([True])).kl()
    torch.testing.assert_close(BodyPosterior(mean, logvar, torch.tensor([True, False])).kl(), alone)
    assert BodyPosterior(mean, logvar, torch.tensor([False, False])).kl() == 0
