import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image
from random_latents import random_latents
from tiny_training import random_data

from bolid_pipeline.errors import NotEnoughData, WeightsMissing
from bolid_pipeline.evaluation.config import EvaluationConfig
from bolid_pipeline.evaluation.data import EvaluationData
from bolid_pipeline.evaluation.drawn_people import who_is
from bolid_pipeline.evaluation.evaluate import evaluate
from bolid_pipeline.evaluation.loss_curve import read_losses
from bolid_pipeline.evaluation.report import Figure, Report, is_up_to_date, read_report, report_html
from bolid_pipeline.latents.config import LatentModels
from bolid_pipeline.models.provenance import DIGITAL_SOURCE_TYPE
from bolid_pipeline.training.fit import fit
from bolid_pipeline.training.presets import tiny

CONFIG = EvaluationConfig(
    prompts=("a {who} standing", "a {who} on a beach"),
    num_identities=2,
    height_px=80,
    width_px=48,
    num_inference_steps=2,
    num_timesteps=2,
    batch_size=3,
)


@pytest.fixture(scope="module")
def checkpoint(tiny_stable_diffusion: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("checkpoints") / "demo"
    return fit(replace(tiny(), batch_size=2), random_data(tiny_stable_diffusion), run_dir, progress=False)


def _evaluate(
    checkpoint: Path,
    base_model: Path,
    report_dir: Path,
    num_people: int = 3,
    latent_models: LatentModels | None = None,
) -> Report:
    trained_on = random_data(base_model, random_latents(num_people))
    return evaluate(
        CONFIG,
        EvaluationData(checkpoint=checkpoint, trained_on=trained_on, latent_models=latent_models),
        read_photo=lambda _: np.full((90, 60, 3), 200, np.uint8),
        report_dir=report_dir,
    )


def test_the_report_holds_pictures_and_numbers(checkpoint, tiny_stable_diffusion, tmp_path):
    evaluation = _evaluate(checkpoint, tiny_stable_diffusion, tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {
        "report.html",
        "metrics.json",
        "samples.png",
        "losses.png",
        "fingerprint",
    }
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics == evaluation.metrics
    assert metrics["num_heldout_photos"] == 3
    names = [f"l_diff_{name}_identity" for name in ("without", "with", "with_another")]
    assert all(metrics[name] > 0 for name in names)
    assert len({metrics[name] for name in names}) == 3
    assert metrics["identity_chance"] == 0.5
    page = evaluation.page.read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page
    with Image.open(io.BytesIO(evaluation.figures["samples"])) as grid:
        # two people; a real photo and two prompts without and with identity
        assert grid.size == (5 * 128, 2 * 144)
        assert grid.info["DigitalSourceType"] == DIGITAL_SOURCE_TYPE


def test_a_base_model_without_an_image_encoder_is_measured_by_the_one_of_the_latents(
    checkpoint, tiny_stable_diffusion, tmp_path
):
    bare = Path(shutil.copytree(tiny_stable_diffusion, tmp_path / "bare"))
    index = json.loads((bare / "model_index.json").read_text())
    for part in ("image_encoder", "feature_extractor"):
        shutil.rmtree(bare / part)
        index[part] = [None, None]
    (bare / "model_index.json").write_text(json.dumps(index))
    assert "identity_top1" not in _evaluate(checkpoint, bare, tmp_path / "without").metrics
    models = LatentModels.of_base_model(tiny_stable_diffusion)
    measured = _evaluate(checkpoint, bare, tmp_path / "with", latent_models=models).metrics
    assert measured == _evaluate(checkpoint, tiny_stable_diffusion, tmp_path / "own").metrics


def test_the_same_seed_gives_the_same_report(checkpoint, tiny_stable_diffusion, tmp_path):
    first, second = (_evaluate(checkpoint, tiny_stable_diffusion, tmp_path / name) for name in ("a", "b"))
    assert first.figures == second.figures
    assert first.metrics == second.metrics


def test_batches_that_do_not_fit_the_memory_are_halved(
    checkpoint, tiny_stable_diffusion, tmp_path, monkeypatch, caplog
):
    whole = _evaluate(checkpoint, tiny_stable_diffusion, tmp_path / "whole")
    forward = UNet2DConditionModel.forward

    def cramped(unet, sample, *args, **kwargs):
        if len(sample) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(unet, sample, *args, **kwargs)

    monkeypatch.setattr(UNet2DConditionModel, "forward", cramped)
    halved = _evaluate(checkpoint, tiny_stable_diffusion, tmp_path / "halved")
    assert halved.metrics == pytest.approx(whole.metrics, rel=1e-3)
    assert "pictures: 3 at once do not fit in the memory of the device; going on with 1" in caplog.text
    assert "noisy photos: 3 at once do not fit" in caplog.text


def test_what_changes_the_report_changes_the_fingerprint(checkpoint, tiny_stable_diffusion, tmp_path):
    data = random_data(tiny_stable_diffusion)
    copy = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    report_dir = tmp_path / "report"
    written = _evaluate(checkpoint, tiny_stable_diffusion, report_dir)

    def made_by(config=CONFIG, checkpoint=checkpoint, **changes):
        return EvaluationData(checkpoint=checkpoint, trained_on=replace(data, **changes)).fingerprint(config)

    assert is_up_to_date(report_dir, made_by())
    assert is_up_to_date(report_dir, made_by(checkpoint=copy))
    assert read_report(report_dir) == written
    (copy / "metrics.json").write_text("{}")
    assert not is_up_to_date(report_dir, made_by(checkpoint=copy))
    assert not is_up_to_date(report_dir, made_by(config=replace(CONFIG, seed=1)))
    assert not is_up_to_date(
        report_dir, made_by(captions={**data.captions, data.latents.photo_ids[0]: "new"})
    )


def test_a_report_that_was_cut_short_is_made_again(checkpoint, tiny_stable_diffusion, tmp_path):
    _evaluate(checkpoint, tiny_stable_diffusion, tmp_path)
    made_by = (tmp_path / "fingerprint").read_text().strip()
    (tmp_path / "metrics.json").unlink()
    (tmp_path / "metrics.json").mkdir()  # the second writing fails in the middle
    with pytest.raises(OSError, match=r"metrics\.json"):
        _evaluate(checkpoint, tiny_stable_diffusion, tmp_path)
    assert not is_up_to_date(tmp_path, made_by)
    with pytest.raises(NotEnoughData, match="whole report"):
        read_report(tmp_path)


def test_people_the_table_does_not_hold_cannot_be_shown(checkpoint, tiny_stable_diffusion, tmp_path):
    with pytest.raises(NotEnoughData, match="body bank"):
        _evaluate(checkpoint, tiny_stable_diffusion, tmp_path, num_people=0)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_checkpoint_is_named(tiny_stable_diffusion, tmp_path):
    with pytest.raises(WeightsMissing):
        _evaluate(tmp_path, tiny_stable_diffusion, tmp_path / "report")
    with pytest.raises(WeightsMissing):
        read_losses(tmp_path / "logs" / "metrics.csv")


@pytest.mark.parametrize(
    ("captions", "who"),
    [
        (["a tall woman", "a woman, a man behind"], "woman"),
        (["a man"], "man"),
        (["a photo of Roman"], "person"),
    ],
)
def test_who_a_person_is_comes_from_the_captions(captions, who):
    assert who_is(captions) == who


def test_names_cannot_break_the_page():
    page = report_html("<script>", {"<b>": 1.23456789}, [Figure("n", "<i>", b"png")])
    assert "<script>" not in page
    assert "<b>" not in page
    assert "1.235" in page
