"""Inputs that a call refuses before any network runs, and its messages."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import IMAGE_EMBED_DIM

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.models import adapters
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.pipeline import AnyBoLIDPipeline, BoLIDPipeline, pipeline_around


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
