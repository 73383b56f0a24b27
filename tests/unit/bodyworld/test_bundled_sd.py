"""The small CLIP and Stable Diffusion that travel with the package, on people they never saw."""

import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open
from torch.nn import functional as F
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

from bodyworld.render.identity import sample_identity
from bodyworld.render.renderer import render
from bodyworld.render.scene import sample_scene
from bodyworld.weights import WEIGHTS_ROLES, weights_folder
from bodyworld.world.captions import caption, caption_slots
from bolid_pipeline.captioning.slots import read_form
from bolid_pipeline.errors import WeightsMissing

HELD_OUT_SEED = 31_000


@pytest.fixture(scope="module")
def pipeline():
    pipeline = StableDiffusionPipeline.from_pretrained(weights_folder("base_model"))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def photos():
    """32 photos of strangers with their captions."""
    pairs = []
    for number in range(32):
        rng = np.random.default_rng((HELD_OUT_SEED, number))
        identity = sample_identity(rng)
        scene = sample_scene(rng, sex=identity.sex)
        pairs.append((render([(identity, scene)], 320, 256, rng).image, caption(identity, scene)))
    return pairs


def draw(pipeline, prompts, *, height=64, width=64, num_steps=8):
    return pipeline(
        prompt=prompts,
        height=height,
        width=width,
        num_inference_steps=num_steps,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
    ).images


def weight_files() -> list[Path]:
    return [
        *weights_folder("clip").rglob("*.safetensors"),
        *weights_folder("base_model").rglob("*.safetensors"),
    ]


def test_all_weights_are_float16_and_small():
    files = weight_files()
    for path in files:
        with safe_open(path, "pt") as tensors:
            kinds = {tensors.get_slice(name).get_dtype() for name in tensors.keys()}  # noqa: SIM118 - no mapping
        assert kinds <= {"F16", "I64"}, path
    assert sum(path.stat().st_size for path in files) < 39e6


def test_stock_pipeline_loads_without_a_warning_and_lacks_no_component():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline = StableDiffusionPipeline.from_pretrained(weights_folder("base_model"))
    assert pipeline.image_encoder is not None
    assert pipeline.feature_extractor is not None
    assert pipeline.safety_checker is None
    assert pipeline.vae_scale_factor == 4
    assert pipeline.unet.config.cross_attention_dim == pipeline.text_encoder.config.hidden_size


def test_text_tower_and_image_encoder_are_the_clip_s(pipeline):
    clip = CLIPModel.from_pretrained(weights_folder("clip"), dtype=torch.float32).eval()
    tokens = pipeline.tokenizer(["a photo of a woman"], return_tensors="pt").input_ids
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(pipeline.text_encoder(tokens)[0], clip.text_model(tokens)[0])
        embeds = clip.visual_projection(clip.vision_model(pixels).pooler_output)
        torch.testing.assert_close(pipeline.image_encoder(pixels).image_embeds, embeds)


def test_samples_follow_the_seed_and_the_aspect(pipeline):
    prompt = "a full-length photo of a woman with long black hair, facing the camera, standing, on a beach"
    first, again = (draw(pipeline, [prompt], height=80, width=48, num_steps=4) for _ in range(2))
    assert first.shape == (1, 80, 48, 3)
    assert np.array_equal(first, again)


def test_background_prompts_show(pipeline):
    who = "a full-length photo of a woman with long black hair, facing the camera, standing, wearing a red dress"
    night, snow = draw(pipeline, [f"{who}, on a stage at night", f"{who}, in the snow"])
    assert snow.mean() > night.mean() + 0.15


def test_autoencoder_reproduces_photos(pipeline, photos):
    small = np.stack([cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA) for image, _ in photos])
    images = torch.from_numpy(small).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    with torch.no_grad():
        decoded = pipeline.vae.decode(pipeline.vae.encode(images).latent_dist.mean).sample
    psnr = 10 * torch.log10(4.0 / (decoded - images).pow(2).mean(dim=(1, 2, 3)))
    assert psnr.mean() > 24.0


def test_scaling_factor_brings_latents_to_unit_variance(pipeline, photos):
    small = np.stack([cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA) for image, _ in photos])
    images = torch.from_numpy(small).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    with torch.no_grad():
        latents = pipeline.vae.encode(images).latent_dist.mean * pipeline.vae.config.scaling_factor
    assert 0.8 < latents.std() < 1.25


def test_clip_finds_captions_of_strangers(photos):
    folder = weights_folder("clip")
    clip = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = CLIPTokenizer.from_pretrained(folder)(
        [text for _, text in photos], padding=True, return_tensors="pt"
    )
    pixels = CLIPImageProcessor.from_pretrained(folder)(
        [image for image, _ in photos], return_tensors="pt"
    ).pixel_values
    assert pixels.shape[-2:] == (64, 64)
    with torch.no_grad():
        texts = F.normalize(clip.text_projection(clip.text_model(tokens.input_ids).pooler_output), dim=-1)
        units = F.normalize(clip.visual_projection(clip.vision_model(pixels).pooler_output), dim=-1)
    hits = (units @ texts.T).argmax(1) == torch.arange(len(photos))
    assert hits.float().mean() > 0.5  # chance: 1/32


def test_captions_fit_into_the_text_tower():
    tokenizer = CLIPTokenizer.from_pretrained(weights_folder("clip"))
    rng = np.random.default_rng(HELD_OUT_SEED)
    people = [sample_identity(rng) for _ in range(200)]
    texts = [caption(person, sample_scene(rng, sex=person.sex)) for person in people]
    assert tokenizer.model_max_length == 77
    assert max(len(ids) for ids in tokenizer(texts).input_ids) < 60


def test_slots_file_composes_the_true_captions():
    form = read_form(weights_folder("clip") / "slots.json")
    rng = np.random.default_rng(HELD_OUT_SEED)
    for _ in range(200):
        identity = sample_identity(rng)
        scene = sample_scene(rng, sex=identity.sex)
        slots = {"bottom": "trousers", "bottom_colour": "red"} | caption_slots(identity, scene)
        assert form.compose(slots) == caption(identity, scene)


@pytest.mark.parametrize("role", WEIGHTS_ROLES)
def test_readmes_name_the_command_and_the_seed(role):
    text = (weights_folder(role) / "README.md").read_text()
    assert "python -m bodyworld.pretrain." in text
    assert "seed" in text.lower()


def test_model_index_is_stock_stable_diffusion():
    index = json.loads((weights_folder("base_model") / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"
    assert index["requires_safety_checker"] is False


def test_unknown_role_is_refused():
    with pytest.raises(WeightsMissing, match="face_detector"):
        weights_folder("oracle")  # type: ignore[arg-type]
