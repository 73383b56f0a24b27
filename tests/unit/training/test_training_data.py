"""The data of a training: encoded and fingerprinted once, and refused where they cannot be trained on."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from tiny_training import make_training, random_data

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.text import encode_text
from bolid_pipeline.training import data as training_data
from bolid_pipeline.training.config import HardwareConfig, IntervalsConfig
from bolid_pipeline.training.datamodule import BoLIDDataModule
from bolid_pipeline.training.fit import fit, make_system
from bolid_pipeline.training.presets import tiny
from bolid_pipeline.training.text_cache import PromptCache, TextCache

CPU = torch.device("cpu")


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


def test_every_distinct_text_is_encoded_once():
    encoded: list[str] = []

    def encode(texts):
        encoded.extend(texts)
        return torch.tensor([[float(len(text))] for text in texts]), torch.ones(len(texts), 2)

    texts = ["x" * length for length in range(1, 151)]
    cache = TextCache(texts * 2, encode)
    assert sorted(encoded) == texts
    lengths, ones = cache.gather(["xxx", texts[-1], "x", "xxx"])
    assert lengths[:, 0].tolist() == [3, 150, 1, 3]
    assert ones.shape == (4, 2)


def test_prompts_come_back_as_the_base_model_encodes_them(tiny_stable_diffusion):
    base = load_base_model(tiny_stable_diffusion)
    prompts = ["a woman", "x" * 100, "a man"]
    found = PromptCache(prompts, base, CPU).gather(prompts[::-1])
    expected = encode_text(base, prompts[::-1], num_windows=2)
    torch.testing.assert_close(found.hidden_BLD.float(), expected.hidden_BLD, atol=5e-3, rtol=5e-3)
    assert found.hidden_BLD.dtype == torch.float16


def test_the_seed_decides_which_version_of_a_caption_is_shown(tiny_stable_diffusion):
    data = random_data(tiny_stable_diffusion)
    captions = dict.fromkeys(data.latents.photo_ids, "a tall woman, walking, in a forest, at night")
    config = replace(tiny(), num_caption_variants=6, batch_size=16)
    shown = []
    for seed in (0, 0, 1):
        _, batches = make_training(replace(data, captions=captions), replace(config, seed=seed))
        shown.append({str(row.tolist()) for row in batches.batch(0)["text_BLD"].flatten(1)[:, :1000]})
    assert len(shown[0]) > 1
    assert shown[0] == shown[1] != shown[2]


def test_there_are_no_batches_before_the_captions_are_encoded(tiny_stable_diffusion):
    _, batches = make_system(tiny(), random_data(tiny_stable_diffusion))
    with pytest.raises(RuntimeError, match="call setup"):
        batches.batch(0)


def test_a_second_setup_encodes_nothing_again(tiny_stable_diffusion, monkeypatch):
    _, batches = make_training(random_data(tiny_stable_diffusion))
    monkeypatch.setattr("bolid_pipeline.training.text_cache.encode_text", None)
    batches.setup("fit")
    assert batches.batch(0)["text_BLD"].shape[0] == tiny().batch_size


def test_a_base_model_that_shifts_its_latents_is_refused(tiny_stable_diffusion):
    base = load_base_model(tiny_stable_diffusion)
    base.vae.register_to_config(shift_factor=0.1)
    with pytest.raises(ConfigurationError, match=r"shifts its latents by 0\.1"):
        BoLIDDataModule(tiny(), random_data(tiny_stable_diffusion), base)
