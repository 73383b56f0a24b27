"""What a pipeline draws from prompts, people and photos, with scales and samplers, and which of them it refuses."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import picture_files
import pytest
import torch
from diffusers.callbacks import IPAdapterScaleCutoffCallback
from PIL import Image
from tiny_pipelines import C_BODY_DIM, PEOPLE, draw, photo

from bolid_pipeline.errors import ConfigurationError, UnknownIdentity, WeightsMissing
from bolid_pipeline.images.decoding import decode_rgb
from bolid_pipeline.models.pipeline import BoLIDPipeline, BoLIDXLPipeline
from bolid_pipeline.models.samplers import SAMPLERS, make_sampler


def test_the_class_follows_the_base_model(pipe: Any, base_model: Path) -> None:
    assert type(pipe) is (BoLIDXLPipeline if base_model.name == "sdxl" else BoLIDPipeline)


@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
@pytest.mark.parametrize("prompt", ["a woman", ["a woman", "a man"]])
def test_without_conditions_it_is_the_base_model_bit_for_bit(
    pipe: Any, stock: Any, guidance_scale: float, prompt: Any
) -> None:
    drawn = draw(pipe, prompt, guidance_scale=guidance_scale)
    assert np.array_equal(drawn, draw(stock, prompt, guidance_scale=guidance_scale))


def test_scales_of_zero_are_the_base_model_bit_for_bit(pipe: Any, stock: Any) -> None:
    drawn = draw(pipe, identity="anna", ref_image=photo(0), ref_scale=0.0, body_scale=0.0)
    assert np.array_equal(drawn, draw(stock))


def test_every_subset_of_conditions_draws_another_picture(pipe: Any) -> None:
    subsets: list[dict[str, Any]] = [
        {},
        {"identity": "anna"},
        {"identity": "bob"},
        {"c_body": pipe.body_bank.between("anna", "bob", 0.5)},
        {"ref_image": photo(0)},
        {"image_prompt": photo(1)},
        {"ref_image": photo(0), "image_prompt": photo(1)},
        {"identity": "anna", "image_prompt": photo(1)},
        {"identity": "anna", "ref_image": [photo(0), photo(2)]},
        {"identity": "anna", "ref_image": photo(0), "image_prompt": photo(1), "body_scale": 0.5},
    ]
    if pipe.body_prior is not None:
        subsets += [{"sample_body": True}, {"sample_body": True, "ref_image": photo(0)}]
    pictures = [draw(pipe, **subset) for subset in subsets]
    assert all(np.isfinite(picture).all() for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == len(subsets)


def test_the_order_of_reference_photos_changes_nothing(pipe: Any) -> None:
    photos = [photo(seed) for seed in range(3)]
    np.testing.assert_allclose(
        draw(pipe, ref_image=photos), draw(pipe, ref_image=photos[::-1]), atol=1e-4, rtol=1e-4
    )


def test_one_identity_for_each_prompt(pipe: Any) -> None:
    prompts = ["a woman", "a man"]
    latents = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    together = draw(pipe, prompts, identity=["anna", "bob"], latents=latents)
    for row, person in enumerate(PEOPLE):
        alone = draw(pipe, prompts[row], identity=person, latents=latents[row : row + 1])
        np.testing.assert_allclose(together[row], alone[0], atol=1e-4)


def test_several_pictures_of_each_prompt(pipe: Any) -> None:
    drawn = draw(
        pipe, ["a woman", "a man"], identity=["anna", "bob"], num_images_per_prompt=3, height=80, width=48
    )
    assert drawn.shape == (6, 4, 20, 12)


def test_a_generator_for_each_picture(pipe: Any) -> None:
    def draw(seeds: list[int]) -> np.ndarray:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return pipe(
            ["a woman"] * len(seeds),
            identity="anna",
            num_inference_steps=1,
            generator=generators,
            output_type="latent",
        ).images.numpy()

    np.testing.assert_allclose(draw([7, 8])[1], draw([8])[0], atol=1e-4)


def test_drawn_bodies_differ_from_picture_to_picture_and_follow_the_generator(pipe: Any) -> None:
    if pipe.body_prior is None:
        with pytest.raises(WeightsMissing, match="body_prior"):
            draw(pipe, sample_body=True)
        return
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(3)).expand(2, -1, -1, -1)
    first, second = draw(pipe, sample_body=True, num_images_per_prompt=2, latents=latents)
    assert not np.allclose(first, second, atol=1e-3)
    again = draw(pipe, sample_body=True, num_images_per_prompt=2, latents=latents)
    assert np.array_equal(again[0], first)


def test_a_long_prompt_is_kept_whole(pipe: Any) -> None:
    long = "x" * 80
    drawn = {
        (end, negative): draw(pipe, long + end, identity="anna", negative_prompt=negative).tobytes()
        for end in "ab"
        for negative in (None, "blurred")
    }
    assert len(set(drawn.values())) == 4


# diffusers 0.42 gives torch tensors to np.array in its own schedulers.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_few_steps_with_every_sampler(pipe: Any, sampler: str) -> None:
    original = pipe.scheduler
    try:
        pipe.scheduler = make_sampler(sampler, original.config)
        steps: list[int] = []

        def count(_pipe: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            steps.append(step)
            return tensors

        drawn = draw(pipe, identity="anna", steps=4, callback_on_step_end=count)
    finally:
        pipe.scheduler = original
    assert np.isfinite(drawn).all()
    assert steps == [0, 1, 2, 3]


def _scales_of_every_step(pipe: Any, steps: int, **kwargs: Any) -> list[dict[str, list[float]]]:
    """The scales of the attention layers at each step, as they were when the U-Net ran."""
    seen: list[dict[str, list[float]]] = []

    def record(*_: Any) -> None:
        processors = pipe.unet.attn_processors.items()
        seen.append({name: list(p.scale) for name, p in processors if hasattr(p, "scale")})

    hook = pipe.unet.register_forward_pre_hook(record)
    try:
        draw(pipe, steps=steps, identity="anna", ref_image=photo(0), **kwargs)
    finally:
        hook.remove()
    return seen


def test_a_scale_per_block_reaches_those_blocks_only(pipe: Any) -> None:
    (seen,) = _scales_of_every_step(pipe, 1, body_scale={"up": {"block_1": 0.7}, "mid": 0.3}, ref_scale=0.9)
    for name, scales in seen.items():
        body_scale = 0.7 if name.startswith("up_blocks.1") else 0.3 if name.startswith("mid") else 0.0
        assert scales == [0.9, body_scale], name
    assert {name.split("_")[0] for name in seen} == {"down", "mid", "up"}


def test_a_scale_per_share_of_the_steps_reaches_those_steps_only(pipe: Any) -> None:
    seen = _scales_of_every_step(
        pipe, 4, body_scale={0.25: 1.0, 0.75: {"up": 0.5}}, ref_scale={0.0: 0.2, 0.5: 0.0}
    )
    mid = next(name for name in seen[0] if name.startswith("mid"))
    up = next(name for name in seen[0] if name.startswith("up"))
    assert [scales[mid] for scales in seen] == [[0.2, 0.0], [0.2, 1.0], [0.0, 1.0], [0.0, 0.0]]
    assert [scales[up] for scales in seen] == [[0.2, 0.0], [0.2, 1.0], [0.0, 1.0], [0.0, 0.5]]


def test_a_scheduled_scale_leaves_the_callers_callback_alone(pipe: Any) -> None:
    steps: list[int] = []

    def stop_the_body(_pipe: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        steps.append(step)
        return {"latents": tensors["latents"] * 0}

    drawn = draw(pipe, identity="anna", body_scale={0.5: 1.0}, callback_on_step_end=stop_the_body)
    assert steps == [0, 1]
    assert not drawn.any()


@pytest.mark.parametrize("scale", [1.0, {0.0: 1.0}])
def test_the_stock_cutoff_callback_works(pipe: Any, scale: Any) -> None:
    cutoff = IPAdapterScaleCutoffCallback(cutoff_step_ratio=None, cutoff_step_index=0)  # pyright: ignore[reportArgumentType]
    drawn = draw(pipe, identity="anna", body_scale=scale, callback_on_step_end=cutoff)
    expected = draw(pipe, identity="anna", body_scale={0.0: 1.0, 0.5: 0.0})
    assert np.array_equal(drawn, expected)


def test_an_unknown_person_is_refused(pipe: Any) -> None:
    with pytest.raises(UnknownIdentity, match="did you mean anna"):
        draw(pipe, identity="ana")


def test_a_bank_of_nobody_says_so(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "body_bank", pipe.body_bank.without("anna").without("bob"))
    with pytest.raises(UnknownIdentity, match="the body bank is empty"):
        draw(pipe, identity="anna")
    monkeypatch.setattr(pipe, "body_bank", None)
    with pytest.raises(WeightsMissing, match="holds no body bank"):
        draw(pipe, identity="anna")


def test_conditions_that_do_not_fit_are_refused(pipe: Any) -> None:
    with pytest.raises(ConfigurationError, match="2 bodies or identities for 1 prompts"):
        draw(pipe, identity=["anna", "bob"])
    with pytest.raises(ConfigurationError, match="give one"):
        draw(pipe, identity="anna", c_body=torch.zeros(C_BODY_DIM))
    with pytest.raises(ValueError, match="c_body has 63 numbers"):
        draw(pipe, c_body=torch.zeros(63))
    with pytest.raises(ConfigurationError, match="names of blocks or shares"):
        draw(pipe, identity="anna", body_scale={0.5: 1.0, "up": 1.0})


def test_a_picture_needs_an_image_encoder(pipe: Any) -> None:
    image_encoder = pipe.image_encoder
    pipe.register_modules(image_encoder=None)
    try:
        with pytest.raises(WeightsMissing, match="no CLIP image encoder"):
            draw(pipe, ref_image=photo(0))
    finally:
        pipe.register_modules(image_encoder=image_encoder)


def test_a_picture_from_python_is_turned_and_laid_over_white(pipe: Any, monkeypatch: Any) -> None:
    turned = picture_files.encoded(picture_files.blocks(), "PNG", exif=picture_files.exif(6))
    clear = Image.new("RGBA", (9, 9), (255, 0, 0, 0))
    deep = Image.fromarray(np.full((9, 9), 0x8001, np.uint16))
    seen: list[Image.Image] = []
    encode = pipe.encode_image
    monkeypatch.setattr(
        pipe, "encode_image", lambda given, *rest: [seen.extend(given), encode(given, *rest)][1]
    )
    with Image.open(io.BytesIO(turned)) as picture:
        draw(pipe, ref_image=[picture, clear], image_prompt=deep)
    assert (np.asarray(seen[0]) == decode_rgb(turned)).all()
    assert seen[0].size == (120, 80)
    assert (np.asarray(seen[1]) == 255).all()
    assert (np.asarray(seen[2]) == 0x80).all()
