"""Inputs that a call refuses before any network runs, and its messages."""

from pathlib import Path
from typing import Any

import numpy as np
import picture_files
import pytest
import torch
from PIL import Image
from tiny_models import IMAGE_EMBED_DIM

from bolid_pipeline.errors import ConfigurationError, UnreadablePhoto
from bolid_pipeline.models import adapters
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.pipeline import AnyBoLIDPipeline, BoLIDPipeline, pipeline_around
from bolid_pipeline.models.samplers import make_sampler


@pytest.fixture(scope="module", params=["tiny_stable_diffusion", "tiny_sdxl"])
def pipe(request: pytest.FixtureRequest) -> AnyBoLIDPipeline:
    """A pipeline with untrained branches, whose cross-attention layers are in down block 0 and up block 1."""
    base_model: Path = request.getfixturevalue(request.param)
    pipe = pipeline_around(load_base_model(base_model))
    adapters.attach(
        pipe.unet, adapters.new_ref_state(pipe.unet, IMAGE_EMBED_DIM), adapters.new_body_state(pipe.unet, 12)
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def no_network_runs(pipe: AnyBoLIDPipeline):
    """Fails a test as soon as the text encoder or the U-Net is asked for anything."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a network ran before the inputs were checked")

    hooks = [module.register_forward_pre_hook(refuse) for module in (pipe.unet, pipe.text_encoder)]
    yield
    for hook in hooks:
        hook.remove()


@pytest.mark.usefixtures("no_network_runs")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 100}, "height must be a multiple of 8 px, not 100: take 96"),
        ({"width": 0}, "width must be a multiple of 8 px, not 0: take 8"),
        ({"num_inference_steps": 0}, "num_inference_steps must be from 1 to 1000, not 0"),
        ({"num_inference_steps": 1001}, "num_inference_steps must be from 1 to 1000, not 1001"),
        ({"guidance_scale": -1.0}, "guidance_scale must be finite and at least 0, not -1.0"),
        ({"guidance_scale": float("nan")}, "guidance_scale must be finite"),
        ({"num_images_per_prompt": 0}, "num_images_per_prompt must be at least 1, not 0"),
        ({"body_scale": float("inf")}, "body_scale takes finite numbers, not inf"),
        ({"body_scale": "strong"}, "body_scale takes finite numbers, not 'strong'"),
        ({"ref_scale": {"upp": 1.0}}, "ref_scale names a block 'upp'; there are down, mid, up"),
        (
            {"body_scale": {0.5: {"up": {"block_0": 1.0}}}},
            "body_scale names a block 'block_0' in 'up'; those with attention there: block_1",
        ),
        ({"body_scale": True}, "body_scale takes finite numbers, not True"),
        ({"body_scale": 10**400}, "body_scale takes finite numbers, not 1000"),
        ({"body_scale": {"mid": "x"}}, "body_scale takes finite numbers, not 'x'"),
        (
            {"body_scale": {"up": {"block_9": 1}}},
            "body_scale names a block 'block_9' in 'up'; those with attention",
        ),
        (
            {"body_scale": {"mid": {"block_0": 1.0}}},
            "names a block 'block_0' in 'mid'; those with attention there: none",
        ),
        ({"body_scale": {"uo": 1}}, "body_scale names a block 'uo'; there are down, mid, up"),
        (
            {"body_scale": {"up": {"block_1": [1.0, 1.0, 1.0]}}},
            "has 3 numbers for up block_1, which has 2 layers",
        ),
        ({"body_scale": {"up": [1.0, 1.0, 1.0]}}, "has 3 numbers for up block_1, which has 2 layers"),
        ({"body_scale": {"mid": [1.0, 2.0]}}, "has 2 numbers for mid, which has 1 layers"),
        ({"body_scale": {"up": []}}, "has 0 numbers for up block_1"),
        ({"body_scale": {}}, "body_scale names no block: give a number, or one for each of down, mid, up"),
        ({"body_scale": {"up": {}}}, "body_scale names no block in 'up'"),
        ({"body_scale": {0.0: {0.5: 1.0}}}, "body_scale names a block 0.5; there are down, mid, up"),
        ({"height": "64"}, "height must be a whole number, not '64'"),
        ({"height": 64.0}, "height must be a whole number, not 64.0"),
        ({"width": True}, "width must be a whole number, not True"),
        ({"height": 80_000_000, "width": 8}, "a picture has at most 40,000,000 px, not 80000000 x 8"),
        ({"num_inference_steps": "3"}, "num_inference_steps must be from 1 to 1000, not '3'"),
        ({"num_inference_steps": 2.5}, "num_inference_steps must be from 1 to 1000, not 2.5"),
        ({"num_images_per_prompt": 1.5}, "num_images_per_prompt must be at least 1, not 1.5"),
        ({"guidance_scale": "5"}, "guidance_scale must be finite and at least 0, not '5'"),
        ({"guidance_rescale": float("nan")}, "guidance_rescale must be finite, not nan"),
        ({"eta": float("inf")}, "eta must be finite, not inf"),
        ({"generator": 5}, "generator must be a torch.Generator or a list of them, not 5"),
        ({"generator": [torch.Generator()] * 2}, "2 generators for 1 pictures"),
        ({"latents": torch.zeros(1, 3, 8, 8)}, "latents must be finite numbers (pictures, 4, height, width)"),
        ({"latents": torch.full((1, 4, 8, 8), torch.nan)}, "latents must be finite numbers"),
        (
            {"latents": torch.zeros(1, 4, 8, 8), "height": 64},
            "height is 64, but the latents make 32 px of it",
        ),
        ({"c_body": [1.0] * 12}, "c_body must be a tensor (D,) or (B, D) of finite numbers"),
        (
            {"c_body": torch.full((12,), torch.nan)},
            "c_body must be a tensor (D,) or (B, D) of finite numbers",
        ),
        ({"negative_prompt": 3}, "negative_prompt must be a text or a list of texts, not 3"),
        ({"identitty": "anna"}, "takes no argument 'identitty'; did you mean identity?"),
        ({"ref_image": "photo.jpg"}, "ref_image takes PIL images, not str"),
        ({"image_prompt": [np.zeros((8, 8, 3))]}, "image_prompt takes PIL images, not ndarray"),
        ({"ip_adapter_image": Image.new("RGB", (8, 8))}, "give ref_image or image_prompt in place of"),
    ],
)
def test_a_mistake_is_named_in_one_line(pipe: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        pipe("a woman", **settings)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("no_network_runs")
@pytest.mark.parametrize("prompt", [None, []])
def test_a_call_without_a_prompt_is_refused(pipe: Any, prompt: Any) -> None:
    with pytest.raises(ConfigurationError, match="give a prompt, or prompt_embeds"):
        pipe(prompt)


@pytest.mark.usefixtures("no_network_runs")
def test_a_body_of_another_length_is_refused(pipe: Any) -> None:
    with pytest.raises(ValueError, match="c_body has 11 numbers; the body branch takes 12"):
        pipe("a woman", c_body=torch.zeros(11))


@pytest.mark.usefixtures("no_network_runs")
@pytest.mark.parametrize("prompt", [5, b"a woman", ("a", "b"), ["a", 5]])
def test_a_prompt_that_is_no_text_is_refused(pipe: Any, prompt: Any) -> None:
    with pytest.raises(ConfigurationError, match="prompt must be a text or a list of texts"):
        pipe(prompt)


@pytest.mark.usefixtures("no_network_runs")
@pytest.mark.parametrize("sampler", ["lcm", "tcd"])
def test_a_sampler_that_was_distilled_into_few_steps_says_how_many_it_takes(pipe: Any, sampler: str) -> None:
    stock = pipe.scheduler
    pipe.scheduler = make_sampler(sampler, stock.config)
    try:
        with pytest.raises(ConfigurationError, match="num_inference_steps must be from 1 to 50, not 51"):
            pipe("a woman", num_inference_steps=51)
    finally:
        pipe.scheduler = stock


@pytest.mark.usefixtures("no_network_runs")
def test_a_size_is_compared_with_what_the_loaded_vae_makes_of_a_latent(pipe: Any, monkeypatch) -> None:
    monkeypatch.setattr(pipe, "vae_scale_factor", 16)
    with pytest.raises(ConfigurationError, match="height must be a multiple of 16 px, not 72: take 64"):
        pipe("a woman", height=72)


@pytest.mark.usefixtures("no_network_runs")
def test_further_positions_are_checked_too(pipe: Any) -> None:
    positions = (65, 64) if type(pipe).__name__ == "BoLIDPipeline" else (None, 65, 64)
    with pytest.raises(ConfigurationError, match="height must be a multiple of 8 px, not 65"):
        pipe("a woman", *positions)
    with pytest.raises(ConfigurationError, match="height is given twice"):
        pipe("a woman", *positions, height=64)
    with pytest.raises(ConfigurationError, match="positions are given"):
        pipe("a woman", *[None] * 99)


def test_a_scale_per_layer_of_a_block_is_taken(pipe: Any) -> None:
    scale = {"down": {"block_0": [0.5]}, "up": {"block_1": [1.0, 0.5]}, "mid": 0.5}
    images = pipe("a woman", c_body=torch.ones(12), body_scale=scale, num_inference_steps=1).images
    assert len(images) == 1


def test_further_positions_mean_what_they_mean_in_the_stock_pipeline(pipe: Any) -> None:
    positions = (48, 64) if type(pipe).__name__ == "BoLIDPipeline" else (None, 48, 64)
    (image,) = pipe("a woman", *positions, num_inference_steps=1, c_body=torch.ones(12)).images
    assert (image.height, image.width) == (48, 64)


def test_a_stock_pipeline_can_be_turned_into_one_without_loading_it_again(
    tiny_stable_diffusion: Path,
) -> None:
    stock = load_base_model(tiny_stable_diffusion)
    pipe = BoLIDPipeline.from_pipe(stock, requires_safety_checker=False)
    assert pipe.unet is stock.unet
    assert pipe.text_encoder is stock.text_encoder


@pytest.mark.usefixtures("no_network_runs")
@pytest.mark.parametrize("name", ["ref_image", "image_prompt"])
def test_a_damaged_file_behind_a_picture_is_named(pipe: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / "me.png"
    path.write_bytes(picture_files.FILES["png"][:-60])
    with Image.open(path) as picture, pytest.raises(UnreadablePhoto, match=r"me\.png cannot be read"):
        pipe("a woman", **{name: picture})
    with pytest.raises(UnreadablePhoto, match=r"a picture without a file .* mode F: convert it"):
        pipe("a woman", **{name: Image.new("F", (9, 9))})
