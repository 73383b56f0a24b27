from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from tiny_models import IMAGE_EMBED_DIM

from bolid_pipeline.errors import ConfigurationError, UnknownIdentity, WeightsMissing
from bolid_pipeline.models import adapters
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.body_bank import BodyBank
from bolid_pipeline.models.body_encoder import BodyEncoder
from bolid_pipeline.models.pipeline import BoLIDPipeline, save_branches
from bolid_pipeline.models.provenance import DIGITAL_SOURCE_TYPE, save_generated

PEOPLE = ("anna", "bob")


@pytest.fixture(scope="module")
def checkpoint(tiny_stable_diffusion: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder as if trained: everything trainable moved at random."""
    torch.manual_seed(4)
    folder = tmp_path_factory.mktemp("checkpoint")
    encoder = BodyEncoder(grid=8, width=32, num_layers=1, num_heads=2, c_body_dim=12)
    unet = load_base_model(tiny_stable_diffusion).unet
    adapters.attach(unet, adapters.new_ref_state(unet, IMAGE_EMBED_DIM), adapters.new_body_state(unet, 12))
    for parameter in adapters.trainable_parameters(unet):
        parameter.data += 0.3 * torch.randn_like(parameter)
    encoder.save_pretrained(folder / "body_encoder")
    save_branches(folder, unet, BodyBank.of({name: (torch.randn(12), 5) for name in PEOPLE}))
    return folder


@pytest.fixture(scope="module")
def pipe(checkpoint: Path, tiny_stable_diffusion: Path) -> BoLIDPipeline:
    pipe = BoLIDPipeline.from_checkpoint(checkpoint, tiny_stable_diffusion)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def stock(tiny_stable_diffusion: Path) -> StableDiffusionPipeline:
    stock = StableDiffusionPipeline.from_pretrained(tiny_stable_diffusion, low_cpu_mem_usage=False)
    stock.set_progress_bar_config(disable=True)
    return stock


def _draw(pipe: Callable[..., Any], prompt: Any = "a woman", seed: int = 0, **kwargs: Any) -> np.ndarray:
    return pipe(
        prompt,
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(seed),
        output_type="latent",
        **kwargs,
    ).images.numpy()


def _photo(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (50, 40, 3), dtype=np.uint8))


@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
@pytest.mark.parametrize("prompt", ["a woman", ["a woman", "a man"]])
def test_without_conditions_it_is_the_base_model_bit_for_bit(
    pipe: BoLIDPipeline, stock: StableDiffusionPipeline, guidance_scale: float, prompt: Any
) -> None:
    drawn = _draw(pipe, prompt, guidance_scale=guidance_scale)
    assert np.array_equal(drawn, _draw(stock, prompt, guidance_scale=guidance_scale))


def test_scales_of_zero_are_the_base_model_bit_for_bit(
    pipe: BoLIDPipeline, stock: StableDiffusionPipeline
) -> None:
    drawn = _draw(pipe, identity="anna", ref_image=_photo(0), ref_scale=0.0, body_scale=0.0)
    assert np.array_equal(drawn, _draw(stock))


def test_every_subset_of_conditions_draws_another_picture(pipe: BoLIDPipeline) -> None:
    subsets: list[dict[str, Any]] = [
        {},
        {"identity": "anna"},
        {"identity": "bob"},
        {"ref_image": _photo(0)},
        {"image_prompt": _photo(1)},
        {"ref_image": _photo(0), "image_prompt": _photo(1)},
        {"identity": "anna", "ref_image": [_photo(0), _photo(2)]},
        {"identity": "anna", "ref_image": _photo(0), "image_prompt": _photo(1), "body_scale": 0.5},
    ]
    pictures = [_draw(pipe, **subset) for subset in subsets]
    assert all(np.isfinite(picture).all() for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == len(subsets)


def test_one_identity_for_each_prompt(pipe: BoLIDPipeline) -> None:
    prompts, latents = (
        ["a woman", "a man"],
        torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(3)),
    )
    together = _draw(pipe, prompts, identity=["anna", "bob"], latents=latents)
    for row, person in enumerate(PEOPLE):
        alone = _draw(pipe, prompts[row], identity=person, latents=latents[row : row + 1])
        np.testing.assert_allclose(together[row], alone[0], atol=1e-4)


def test_several_pictures_of_each_prompt(pipe: BoLIDPipeline) -> None:
    drawn = _draw(
        pipe, ["a woman", "a man"], identity=["anna", "bob"], num_images_per_prompt=3, height=80, width=48
    )
    assert drawn.shape == (6, 4, 20, 12)


def test_a_long_prompt_is_kept_whole(pipe: BoLIDPipeline) -> None:
    long = "x" * 80
    drawn = _draw(pipe, long + "a", identity="anna", negative_prompt="blurred")
    assert not np.array_equal(drawn, _draw(pipe, long + "b", identity="anna", negative_prompt="blurred"))


def test_stock_callbacks_that_set_one_scale_work(pipe: BoLIDPipeline) -> None:
    pipe.set_ip_adapter_scale(0.25)
    assert all(processor.scale == [0.25, 0.25] for processor in adapters.adapter_processors(pipe.unet))


def test_an_unknown_person_is_refused(pipe: BoLIDPipeline) -> None:
    with pytest.raises(UnknownIdentity, match="did you mean anna"):
        _draw(pipe, identity="ana")


def test_as_many_identities_as_prompts(pipe: BoLIDPipeline) -> None:
    with pytest.raises(ConfigurationError, match="2 identities for 1 prompts"):
        _draw(pipe, identity=["anna", "bob"])


def test_a_person_needs_a_checkpoint(tiny_stable_diffusion: Path, stock: StableDiffusionPipeline) -> None:
    plain = BoLIDPipeline.from_pretrained(tiny_stable_diffusion, low_cpu_mem_usage=False)
    plain.set_progress_bar_config(disable=True)
    assert np.array_equal(_draw(plain), _draw(stock))
    with pytest.raises(ConfigurationError, match="no BoLID checkpoint is loaded"):
        _draw(plain, identity="anna")


def test_a_folder_that_is_no_checkpoint_is_named(tiny_stable_diffusion: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="body_encoder"):
        BoLIDPipeline.from_checkpoint(tmp_path, tiny_stable_diffusion)


def test_save_and_load_is_exact(pipe: BoLIDPipeline, stock: StableDiffusionPipeline, tmp_path: Path) -> None:
    expected = _draw(pipe, identity="anna", ref_image=_photo(0))
    pipe.save_pretrained(tmp_path)
    assert np.array_equal(_draw(pipe, identity="anna", ref_image=_photo(0)), expected)

    loaded = BoLIDPipeline.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    loaded.set_progress_bar_config(disable=True)
    assert np.array_equal(_draw(loaded, identity="anna", ref_image=_photo(0)), expected)
    assert np.array_equal(_draw(loaded), _draw(stock))
    assert isinstance(loaded.body_encoder, BodyEncoder)
    base_alone = StableDiffusionPipeline.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    base_alone.set_progress_bar_config(disable=True)
    assert np.array_equal(_draw(base_alone), _draw(stock))
    assert not list(tmp_path.rglob("*.bin"))


def test_a_saved_picture_says_that_it_is_generated(tmp_path: Path) -> None:
    save_generated(_photo(0), tmp_path / "picture.png", prompt="a wömän", identity="anna")
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.info["Prompt"] == "a wömän"
        assert picture.info["Identity"] == "anna"
        assert picture.info["DigitalSourceType"] == DIGITAL_SOURCE_TYPE
        assert DIGITAL_SOURCE_TYPE in picture.info["XML:com.adobe.xmp"]
    with pytest.raises(ConfigurationError, match=r"\.png"):
        save_generated(_photo(0), tmp_path / "picture.jpg", prompt="a woman")
