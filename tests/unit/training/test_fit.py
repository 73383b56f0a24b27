import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from random_latents import random_latents
from safetensors.torch import load_file
from tiny_models import save_tiny_stable_diffusion
from tiny_training import random_data

from bolid_pipeline.errors import ConfigurationError, NotEnoughData, WeightsMissing
from bolid_pipeline.models.pipeline import load_pipeline
from bolid_pipeline.training import checkpoint
from bolid_pipeline.training.config import OptimizerConfig, PriorConfig, TrainingConfig
from bolid_pipeline.training.fit import fit
from bolid_pipeline.training.presets import tiny

CONFIG = replace(tiny(), steps=4, batch_size=3)


def _fit(
    base_model: Path, run_dir: Path, config: TrainingConfig = CONFIG, *, start_from: Path | None = None
) -> Path:
    data = replace(random_data(base_model), start_from=start_from)
    return fit(config, data, run_dir, progress=False)


@pytest.fixture(scope="module")
def trained(tiny_stable_diffusion: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _fit(tiny_stable_diffusion, tmp_path_factory.mktemp("checkpoints") / "demo")


def test_the_folder_is_the_contracts(trained):
    files = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    assert files == {
        "README.md",
        "body_adapter.safetensors",
        "body_bank.json",
        "body_bank.safetensors",
        "body_encoder/config.json",
        "body_encoder/diffusion_pytorch_model.safetensors",
        "logs/metrics.csv",
        "metrics.json",
        "ref_adapter.safetensors",
        "training_config.json",
        "train_photos.txt",
        "heldout_photos.txt",
    }
    assert [path.name for path in trained.parent.iterdir()] == ["demo"]


def test_the_numbers_are_there(trained):
    metrics = checkpoint.read_metrics(trained)
    assert metrics["steps"] == 4
    with (trained / checkpoint.LOSSES_FILE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [0, 1, 2, 3]
    assert all(float(row["l_diff"]) > 0 and float(row["kl"]) > 0 for row in rows)
    assert checkpoint.read_config(trained) == CONFIG
    assert len(checkpoint.read_photo_ids(trained / checkpoint.TRAIN_PHOTOS_FILE)) == 15
    assert len(checkpoint.read_photo_ids(trained / checkpoint.HELDOUT_PHOTOS_FILE)) == 3
    assert "person-0, person-1, person-2" in (trained / "README.md").read_text()


def test_the_pipeline_draws_from_it(trained, tiny_stable_diffusion):
    pipe = load_pipeline(trained, tiny_stable_diffusion)
    pipe.set_progress_bar_config(disable=True)
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    pictures = [
        pipe(
            "a photo", identity=person, latents=latents, num_inference_steps=2, output_type="np"
        ).images.tobytes()
        for person in (None, "person-0", "person-2")
    ]
    assert len(set(pictures)) == 3


def test_a_body_prior_comes_along_where_it_is_asked_for(tiny_stable_diffusion, tmp_path):
    run_dir = _fit(
        tiny_stable_diffusion,
        tmp_path / "run",
        replace(CONFIG, steps=1, prior=PriorConfig(steps=2, width=16)),
    )
    pipe = load_pipeline(run_dir, tiny_stable_diffusion)
    pipe.set_progress_bar_config(disable=True)
    picture = pipe("a photo", sample_body=True, num_inference_steps=1, output_type="np").images
    assert picture.shape[1:3] == (64, 64)


def test_several_reference_photos_train_an_encoder_of_them(tiny_stable_diffusion, tmp_path):
    config = replace(CONFIG, ref_encoder_layers=1)
    run_dir = _fit(tiny_stable_diffusion, tmp_path / "run", config)
    again = _fit(tiny_stable_diffusion, tmp_path / "again", config)
    weights = [
        load_file(path / "ref_encoder/diffusion_pytorch_model.safetensors") for path in (run_dir, again)
    ]
    assert weights[0]["to_change.weight"].any()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])

    pipe = load_pipeline(run_dir, tiny_stable_diffusion)
    pipe.set_progress_bar_config(disable=True)
    photos = [Image.new("RGB", (64, 64), colour) for colour in ("navy", "olive")]

    def draw(refs: list[Image.Image]) -> np.ndarray:
        generator = torch.Generator().manual_seed(0)
        return pipe(
            "a photo", ref_image=refs, num_inference_steps=1, output_type="np", generator=generator
        ).images

    assert np.abs(draw(photos) - draw(photos[::-1])).max() < 1e-4
    assert np.abs(draw(photos) - draw(photos[:1])).max() > 1e-4


def test_the_reference_encoder_goes_on_from_a_checkpoint(tiny_stable_diffusion, tmp_path):
    config = replace(CONFIG, ref_encoder_layers=1)
    first = _fit(tiny_stable_diffusion, tmp_path / "first", config)
    still = replace(config, steps=1, optimizer=OptimizerConfig(learning_rate=1e-12))
    second = _fit(tiny_stable_diffusion, tmp_path / "second", still, start_from=first)
    old, new = (load_file(run / "ref_encoder/diffusion_pytorch_model.safetensors") for run in (first, second))
    for name in old:
        torch.testing.assert_close(new[name], old[name], atol=1e-6, rtol=1e-5)


def test_a_training_can_start_from_a_checkpoint(trained, tiny_stable_diffusion, tmp_path):
    still = replace(CONFIG, steps=1, optimizer=OptimizerConfig(learning_rate=1e-12))
    run_dir = _fit(tiny_stable_diffusion, tmp_path / "run", still, start_from=trained)
    for name in ("ref_adapter.safetensors", "body_adapter.safetensors"):
        old, new = load_file(trained / name), load_file(run_dir / name)
        for key in old:
            torch.testing.assert_close(new[key], old[key], atol=1e-6, rtol=1e-5)


def test_stock_diffusers_loads_it(trained, tiny_stable_diffusion):
    stock = StableDiffusionPipeline.from_pretrained(tiny_stable_diffusion, low_cpu_mem_usage=False)
    stock.load_ip_adapter(
        trained,
        subfolder="",
        weight_name=["ref_adapter.safetensors", "body_adapter.safetensors"],
        image_encoder_folder=None,
        low_cpu_mem_usage=False,
    )
    ours = load_pipeline(trained, tiny_stable_diffusion)
    for (name, theirs), (_, own) in zip(
        stock.unet.state_dict().items(), ours.unet.state_dict().items(), strict=True
    ):
        assert torch.equal(theirs, own), name


def test_the_same_inputs_give_the_same_weights(trained, tiny_stable_diffusion, tmp_path):
    again = _fit(tiny_stable_diffusion, tmp_path / "again")
    for name in ("ref_adapter.safetensors", "body_adapter.safetensors", "body_bank.safetensors"):
        assert (again / name).read_bytes() == (trained / name).read_bytes()


def test_what_changes_the_checkpoint_changes_the_fingerprint(trained, tiny_stable_diffusion, tmp_path):
    data = random_data(tiny_stable_diffusion)
    other_base = save_tiny_stable_diffusion(tmp_path / "other", seed=1)
    first_photo = data.latents.photo_ids[0]

    def made_by(config=CONFIG, **changes):
        return replace(data, **changes).fingerprint(config)

    assert checkpoint.is_up_to_date(trained, made_by())
    assert not checkpoint.is_up_to_date(trained, made_by(config=replace(CONFIG, seed=1)))
    assert not checkpoint.is_up_to_date(trained, made_by(base_model=other_base))
    assert not checkpoint.is_up_to_date(trained, made_by(captions={**data.captions, first_photo: "new"}))
    assert not checkpoint.is_up_to_date(trained, made_by(latents=random_latents(4)))
    assert not checkpoint.is_up_to_date(trained, made_by(clusters={first_photo: "another"}))
    assert checkpoint.is_up_to_date(
        trained, made_by(clusters={"of a photo that is not trained on": "another"})
    )
    moved = random_latents()
    moved.identities[0] = moved.identities[-1]
    assert not checkpoint.is_up_to_date(trained, made_by(latents=moved))
    assert not checkpoint.is_up_to_date(tmp_path, made_by())


def _write(run_dir: Path, fingerprint: str, error: Exception | None = None) -> None:
    with checkpoint.new_checkpoint(run_dir) as staging:
        (staging / "training_config.json").write_text(json.dumps({"fingerprint": fingerprint}))
        if error is not None:
            raise error


def test_a_failed_run_leaves_the_older_checkpoint(tmp_path):
    run_dir = tmp_path / "demo"
    _write(run_dir, "old")
    with pytest.raises(RuntimeError):
        _write(run_dir, "new", RuntimeError())
    assert checkpoint.is_up_to_date(run_dir, "old")
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_new_checkpoint_replaces_the_older_one(tmp_path):
    run_dir = tmp_path / "demo"
    _write(run_dir, "old")
    _write(run_dir, "new")
    assert checkpoint.is_up_to_date(run_dir, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_base_model_that_predicts_the_sample_is_refused(tmp_path):
    base_model = save_tiny_stable_diffusion(tmp_path / "base", prediction_type="sample")
    with pytest.raises(ConfigurationError, match="sample"):
        _fit(base_model, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_base_model_that_predicts_velocity_trains(tmp_path):
    base_model = save_tiny_stable_diffusion(tmp_path / "base", prediction_type="v_prediction")
    assert checkpoint.read_metrics(_fit(base_model, tmp_path / "run", replace(CONFIG, steps=1)))["steps"] == 1


def test_missing_inputs_are_named(tiny_stable_diffusion, tmp_path):
    with pytest.raises(WeightsMissing):
        _fit(tmp_path / "nowhere", tmp_path / "run")
    with pytest.raises(NotEnoughData):
        fit(CONFIG, random_data(tiny_stable_diffusion, random_latents(0, 0)), tmp_path / "run")
    assert not list(tmp_path.iterdir())
