"""Both pipelines draw on the GPU in half precision, under every kind of condition, what they draw on the CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pretend_gpu import only_on_gpu
from tiny_pipelines import C_BODY_DIM, draw, photo, save_checkpoint

from bolid_pipeline.cli.generation import GenerationRequest, generate_pictures
from bolid_pipeline.cli.picture_folder import PictureFolder
from bolid_pipeline.models.pipeline import load_pipeline
from bolid_pipeline.models.samplers import SAMPLERS, SamplerName
from bolid_pipeline.pretrained.device import Device

CONDITIONS: dict[str, dict[str, Any]] = {
    "a person for each prompt": {"prompt": ["a woman", "a man"], "identity": ["anna", "bob"]},
    "a body": {"c_body": torch.zeros(C_BODY_DIM)},
    "a body from the text": {"sample_body": True},
    "pictures": {"identity": "bob", "ref_image": [photo(0), photo(2)], "image_prompt": photo(1)},
    "a long prompt": {"prompt": "x" * 80, "negative_prompt": "blurred", "identity": "anna"},
    "a schedule": {
        "steps": 2,
        "identity": "anna",
        "body_scale": {0.0: 0.0, 0.5: 1.0},
        "ref_scale": {"up": 1.0},
    },
    "two pictures without guidance": {"identity": "anna", "num_images_per_prompt": 2, "guidance_scale": 1.0},
}


@pytest.fixture(scope="module", params=["tiny_stable_diffusion", "tiny_sdxl"])
def base_model(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def checkpoint(base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("checkpoint"), base_model, is_dense=True)


def _load(checkpoint: Path, base_model: Path, tiny_clip_vision: Path, device: Device) -> Any:
    pipe = load_pipeline(
        checkpoint,
        base_model,
        device=device,
        image_encoder=tiny_clip_vision / "image_encoder",
        feature_extractor=tiny_clip_vision / "feature_extractor",
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_every_condition_draws_on_the_gpu_what_it_draws_on_the_cpu(
    checkpoint, base_model, tiny_clip_vision, gpu
):
    on_cpu, on_gpu = (_load(checkpoint, base_model, tiny_clip_vision, device) for device in ("cpu", "auto"))
    assert (on_gpu.device, on_gpu.dtype) == (gpu, torch.float16)
    for name, conditions in CONDITIONS.items():
        expected = draw(on_cpu, **{"steps": 1, **conditions})
        with only_on_gpu():
            drawn = draw(on_gpu, **{"steps": 1, **conditions})
        assert drawn.dtype == np.float16, name
        np.testing.assert_allclose(drawn, expected, atol=0.05, err_msg=name)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' Euler
def test_generate_draws_on_the_gpu_by_every_sampler(tiny_stable_diffusion, tiny_clip_vision, gpu, tmp_path):
    checkpoint = save_checkpoint(tmp_path, tiny_stable_diffusion, is_dense=False)
    pipe = _load(checkpoint, tiny_stable_diffusion, tiny_clip_vision, "auto")
    samplers: tuple[SamplerName | None, ...] = (None, *SAMPLERS)
    for sampler in samplers:
        request = GenerationRequest(
            prompts=("a woman",), between=("anna", "bob", 0.5), sampler=sampler, num_inference_steps=2
        )
        with only_on_gpu():
            paths = list(generate_pictures(pipe, request, PictureFolder(tmp_path / "pictures")))
        assert len(paths) == 1
    assert gpu == pipe.device
