from pathlib import Path

import pytest
import torch

from bolid_pipeline.models.body_encoder import BodyEncoder, to_view_grid

GRID = 8


@pytest.fixture(scope="module")
def encoder() -> BodyEncoder:
    torch.manual_seed(0)
    encoder = BodyEncoder(grid=GRID, width=32, num_layers=2, num_heads=2, c_body_dim=12)
    torch.nn.init.normal_(encoder.to_logvar.weight, std=0.02)
    return encoder.eval()


def _views(batch: int, num_views: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    views = 3 * torch.randn(batch, num_views, 5, GRID, GRID, generator=generator)
    return views, 0.1 + torch.rand(batch, num_views, generator=generator)


@pytest.mark.parametrize("num_views", [1, 2, 100])
def test_any_number_of_views(encoder: BodyEncoder, num_views: int) -> None:
    posterior = encoder(*_views(3, num_views))
    assert posterior.mean_BD.shape == posterior.logvar_BD.shape == (3, 12)
    assert torch.isfinite(posterior.mean_BD).all()


def test_the_order_of_views_changes_nothing(encoder: BodyEncoder) -> None:
    views, weights = _views(2, 7)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    posterior, permuted = encoder(views, weights), encoder(views[:, order], weights[:, order])
    torch.testing.assert_close(permuted.mean_BD, posterior.mean_BD, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(permuted.logvar_BD, posterior.logvar_BD, atol=1e-5, rtol=1e-5)


def test_padding_changes_nothing(encoder: BodyEncoder) -> None:
    views, weights = _views(2, 3)
    noise, _ = _views(2, 4, seed=9)
    padded = encoder(torch.cat([views, noise], 1), torch.cat([weights, torch.zeros(2, 4)], 1))
    torch.testing.assert_close(padded.mean_BD, encoder(views, weights).mean_BD, atol=1e-5, rtol=1e-5)


def test_a_view_repeated_is_a_view_of_twice_the_weight(encoder: BodyEncoder) -> None:
    views, weights = _views(1, 3)
    repeated = encoder(torch.cat([views, views[:, :1]], 1), torch.cat([weights, weights[:, :1]], 1))
    heavier = encoder(views, weights * torch.tensor([2.0, 1.0, 1.0]))
    torch.testing.assert_close(repeated.mean_BD, heavier.mean_BD, atol=1e-5, rtol=1e-5)


def test_nobody_seen_gives_zero(encoder: BodyEncoder) -> None:
    views, weights = _views(2, 3)
    weights[1] = 0
    posterior = encoder(views, weights)
    assert posterior.mean_BD[0].abs().sum() > 0
    assert not posterior.mean_BD[1].any()
    assert not posterior.sample(torch.Generator().manual_seed(0))[1].any()
    posterior.mean_BD.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters() if p.grad is not None)
    encoder.zero_grad()


def test_samples_follow_the_generator(encoder: BodyEncoder) -> None:
    posterior = encoder(*_views(2, 3))
    first, again, other = (posterior.sample(torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("shape", [(2, 3, 4, GRID, GRID), (2, 2, 5, GRID, GRID), (2, 3, 5, GRID, GRID + 1)])
def test_wrong_shapes_are_named(encoder: BodyEncoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be \(B, N, 5, 8, 8\)"):
        encoder(torch.zeros(shape), torch.ones(2, 3))


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"), [(16, 16, 8, 8), (20, 12, 8, 5), (12, 20, 5, 8)]
)
def test_a_view_keeps_its_proportions(height: int, width: int, rows: int, columns: int) -> None:
    view = to_view_grid(torch.full((4, height, width), 2.0), GRID)
    assert view.shape == (5, GRID, GRID)
    assert view[4].sum() == rows * columns
    assert torch.equal(view[0], 2 * view[4])


def test_save_and_load_is_exact(encoder: BodyEncoder, tmp_path: Path) -> None:
    encoder.save_pretrained(tmp_path)
    loaded = BodyEncoder.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    assert torch.equal(loaded(*_views(2, 3)).mean_BD, encoder(*_views(2, 3)).mean_BD)
