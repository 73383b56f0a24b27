"""A pipeline and its checkpoint: loaded, saved, and refused where the two do not fit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_pipelines import draw, load_stock, photo

from bolid_pipeline.errors import ConfigurationError, WeightsMismatch, WeightsMissing
from bolid_pipeline.models.body_encoder import BodyEncoder
from bolid_pipeline.models.pipeline import load_pipeline


def test_a_person_needs_a_checkpoint(base_model: Path, pipe: Any, stock: Any) -> None:
    plain = type(pipe).from_pretrained(base_model, low_cpu_mem_usage=False)
    plain.set_progress_bar_config(disable=True)
    assert np.array_equal(draw(plain), draw(stock))
    with pytest.raises(ConfigurationError, match="no BoLID checkpoint is loaded"):
        draw(plain, identity="anna")


def test_a_folder_that_is_no_checkpoint_is_named(base_model: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="body_encoder"):
        load_pipeline(tmp_path, base_model)


def test_a_checkpoint_of_another_base_model_is_refused(
    checkpoint: Path, base_model: Path, tiny_stable_diffusion: Path, tiny_sdxl: Path
) -> None:
    other = tiny_sdxl if base_model == tiny_stable_diffusion else tiny_stable_diffusion
    with pytest.raises(WeightsMismatch, match="made for another base model"):
        load_pipeline(checkpoint, other)


def test_save_and_load_is_exact(pipe: Any, stock: Any, tmp_path: Path) -> None:
    conditions: dict[str, Any] = {"identity": "anna", "ref_image": [photo(0), photo(1)]}
    expected = draw(pipe, **conditions)
    pipe.save_pretrained(tmp_path)
    assert np.array_equal(draw(pipe, **conditions), expected)

    loaded = type(pipe).from_pretrained(tmp_path, low_cpu_mem_usage=False)
    loaded.set_progress_bar_config(disable=True)
    assert np.array_equal(draw(loaded, **conditions), expected)
    assert np.array_equal(draw(loaded), draw(stock))
    if pipe.body_prior is not None:
        assert np.array_equal(draw(loaded, sample_body=True), draw(pipe, sample_body=True))
    assert isinstance(loaded.body_encoder, BodyEncoder)
    assert np.array_equal(draw(load_stock(tmp_path)), draw(stock))
    assert not list(tmp_path.rglob("*.bin"))
