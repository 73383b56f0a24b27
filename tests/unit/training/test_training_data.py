"""The data of a training: fingerprinted once, tokenised and encoded, and refused where they cannot be trained on."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from tiny_models import TEXT_DIM, save_tiny_sdxl, save_tiny_stable_diffusion
from tiny_training import make_training, random_data

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.body_prior import text_vector
from bolid_pipeline.models.text import empty_text, encode_text, tokenize
from bolid_pipeline.training import data as training_data
from bolid_pipeline.training.config import HardwareConfig, IntervalsConfig
from bolid_pipeline.training.datamodule import BoLIDDataModule
from bolid_pipeline.training.fit import fit
from bolid_pipeline.training.presets import tiny
from bolid_pipeline.training.text_encoders import TextEncoders


def test_the_base_model_is_hashed_once_for_the_asset_and_the_training(
    tiny_stable_diffusion, tmp_path, monkeypatch
):
    hashed = Counter()
    folder_sha256 = training_data.folder_sha256

    def counted(folder):
        hashed[folder] += 1
        return folder_sha256(folder)

    monkeypatch.setattr(training_data, "folder_sha256", counted)
    data, config = random_data(tiny_stable_diffusion), replace(tiny(), steps=1)
    data.fingerprint(config)  # the asset asks whether there is such a checkpoint
    fit(config, data, tmp_path / "run", progress=False)
    assert hashed == {tiny_stable_diffusion: 1}


def test_what_only_says_how_to_train_leaves_the_fingerprint_alone(tiny_stable_diffusion):
    data, config = random_data(tiny_stable_diffusion), tiny()
    elsewhere = HardwareConfig(devices=2, num_nodes=2, shard_frozen_weights=True)
    assert data.fingerprint(replace(config, hardware=elsewhere)) == data.fingerprint(config)
    often = replace(config, intervals=IntervalsConfig(checkpoint=1))
    assert data.fingerprint(often) == data.fingerprint(config)
    coarse = replace(config, hardware=HardwareConfig(precision="bf16-mixed"))
    assert data.fingerprint(coarse) != data.fingerprint(config)


def test_captions_reach_the_unet_as_the_base_model_encodes_them(tiny_stable_diffusion):
    base = load_base_model(tiny_stable_diffusion)
    prompts = ["a woman", "x" * 100, "a man"]
    found = TextEncoders(base)(tokenize(base, prompts))
    expected = torch.cat([encode_text(base, [prompt], num_windows=2).hidden_BLD for prompt in prompts])
    torch.testing.assert_close(found.hidden_BLD, expected)


@pytest.mark.parametrize("save", [save_tiny_stable_diffusion, save_tiny_sdxl])
def test_the_empty_prompt_has_the_windows_of_the_captions_and_is_encoded_once(save, tmp_path, monkeypatch):
    base = load_base_model(save(tmp_path))
    expected = empty_text(base, num_windows=3)
    texts = TextEncoders(base)
    texts.empty(1)
    monkeypatch.setattr("bolid_pipeline.training.text_encoders.empty_text", None)
    found = texts.empty(3)
    torch.testing.assert_close(found.hidden_BLD, expected.hidden_BLD)
    if expected.pooled_BD is not None:
        torch.testing.assert_close(found.pooled_BD, expected.pooled_BD)


def test_the_text_encoders_go_where_the_trained_module_goes(tiny_stable_diffusion):
    system, batches = make_training(random_data(tiny_stable_diffusion))
    system.to("meta")
    assert batches.base.text_encoder.device.type == "meta"


def test_the_vectors_of_captions_lie_in_a_file(tiny_stable_diffusion, tmp_path):
    base = load_base_model(tiny_stable_diffusion)
    captions = [f"photo {number}" for number in range(300)] + ["x" * 100]
    vectors = TextEncoders(base).map_vectors(captions, tmp_path / "vectors.bin")
    expected = text_vector(encode_text(base, captions[-2:]).hidden_BLD)
    torch.testing.assert_close(vectors[-2:], expected)
    assert (tmp_path / "vectors.bin").stat().st_size == 4 * len(captions) * TEXT_DIM


def test_the_seed_decides_which_version_of_a_caption_is_shown(tiny_stable_diffusion):
    data = random_data(tiny_stable_diffusion)
    captions = dict.fromkeys(data.latents.photo_ids, "a tall woman, walking, in a forest, at night")
    config = replace(tiny(), num_caption_variants=6, batch_size=16)
    shown = []
    for seed in (0, 0, 1):
        _, batches = make_training(replace(data, captions=captions), replace(config, seed=seed))
        shown.append({str(ids.tolist()) for ids in batches.batch(0)["token_ids_BEWT"]})
    assert len(shown[0]) > 1
    assert shown[0] == shown[1] != shown[2]


def test_a_base_model_that_shifts_its_latents_is_refused(tiny_stable_diffusion):
    base = load_base_model(tiny_stable_diffusion)
    base.vae.register_to_config(shift_factor=0.1)
    with pytest.raises(ConfigurationError, match=r"shifts its latents by 0\.1"):
        BoLIDDataModule(tiny(), random_data(tiny_stable_diffusion), base)
