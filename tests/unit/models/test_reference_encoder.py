from pathlib import Path

import pytest
import torch

from bolid_pipeline.models.reference_encoder import ReferenceEncoder

DIM = 24


@pytest.fixture(scope="module")
def encoder() -> ReferenceEncoder:
    torch.manual_seed(0)
    encoder = ReferenceEncoder(image_embed_dim=DIM, num_layers=2, num_heads=2)
    torch.nn.init.normal_(encoder.to_change.weight, std=0.3)
    return encoder.eval()


def _photos(num_photos: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    embeds = torch.randn(2, num_photos, DIM, generator=generator)
    return embeds, 0.1 + torch.rand(2, num_photos, generator=generator)


def test_it_starts_as_the_weighted_mean() -> None:
    embeds, weights = _photos(5)
    mean = (embeds * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)
    torch.testing.assert_close(ReferenceEncoder(DIM, num_heads=2)(embeds, weights), mean)


def test_order_and_padding_change_nothing(encoder: ReferenceEncoder) -> None:
    embeds, weights = _photos(5)
    expected = encoder(embeds, weights)
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(encoder(embeds[:, order], weights[:, order]), expected, atol=1e-5, rtol=1e-5)
    padded = torch.cat([embeds, torch.randn(2, 3, DIM)], 1), torch.cat([weights, torch.zeros(2, 3)], 1)
    torch.testing.assert_close(encoder(*padded), expected, atol=1e-5, rtol=1e-5)


def test_photos_see_each_other(encoder: ReferenceEncoder) -> None:
    embeds, _ = _photos(2)
    one_by_one = [encoder(embeds[:, i : i + 1], torch.ones(2, 1)) for i in range(2)]
    assert not torch.allclose(encoder(embeds, torch.ones(2, 2)), torch.stack(one_by_one).mean(0), atol=1e-3)


def test_no_photo_is_zero(encoder: ReferenceEncoder) -> None:
    embeds, _ = _photos(3)
    assert not encoder(embeds, torch.zeros(2, 3)).any()


def test_wrong_shapes_are_named(encoder: ReferenceEncoder) -> None:
    with pytest.raises(ValueError, match=r"must be \(B, N, 24\)"):
        encoder(torch.zeros(2, 3, 25), torch.ones(2, 3))


def test_save_and_load_is_exact(encoder: ReferenceEncoder, tmp_path: Path) -> None:
    encoder.save_pretrained(tmp_path)
    loaded = ReferenceEncoder.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    assert torch.equal(loaded(*_photos(3)), encoder(*_photos(3)))
