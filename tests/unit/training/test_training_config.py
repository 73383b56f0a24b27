import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import make_losses
import pytest

from bolid_pipeline.errors import ConfigurationError, WeightsMissing
from bolid_pipeline.settings import from_json, override, to_json
from bolid_pipeline.training import checkpoint
from bolid_pipeline.training.config import FewStepConfig, Loss, PriorConfig, Term, TrainingConfig
from bolid_pipeline.training.flat_config import in_groups
from bolid_pipeline.training.presets import PRESETS, sd15_24gb, tiny

GOLDEN = Path(make_losses.__file__).parent


@pytest.mark.parametrize("preset", [*PRESETS.values(), tiny])
def test_a_preset_survives_json(preset):
    assert from_json(TrainingConfig, to_json(preset()), source="here") == preset()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": 10.5}, "steps is 10.5"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"dropout": {"ref": 1.5}}, "dropout.ref is 1.5"),
        ({"dropout": {"text": "0.1"}}, "dropout.text is '0.1'"),
        ({"optimizer": {"ema_decay": 1.0}}, "optimizer.ema_decay is 1.0"),
        ({"optimizer": {"learning_rate": True}}, "optimizer.learning_rate is True"),
        ({"diffusion": {"background_weight": 0.0}}, "diffusion.background_weight is 0.0"),
        ({"diffusion": {"kl": 0.1}}, "diffusion.kl is 0.1"),
        ({"diffusion": {"kl": {"wait": 2}}}, "diffusion.kl.wait = 2 is unknown"),
        ({"body": {"grid": 10}}, "body.grid is 10"),
        ({"body": {"is_dense": "no"}}, "body.is_dense is 'no'"),
        ({"few_step": {"id_mode": "absolut"}}, "few_step.id_mode is 'absolut'"),
        ({"few_step": {"gradient_from": "lst"}}, "few_step.gradient_from is 'lst'"),
        ({"few_step": {"sampler": "dmp"}}, "few_step.sampler is 'dmp'"),
        ({"few_step": {"every_n_steps": 0}}, "few_step.every_n_steps is 0"),
        ({"few_step": {"gradient_steps": 0}}, "few_step.gradient_steps is 0"),
        ({"few_step": {"gradient_steps": 5}}, "few_step: gradient_steps is 5.*num_steps, 4"),
        ({"hardware": {"precision": "fp8"}}, "hardware.precision is 'fp8'"),
        ({"hardware": {"devices": 3}}, "batch_size 4 cannot be shared by 3 processes"),
        ({"intervals": {"log": 0}}, "intervals.log is 0"),
        ({"prior": {"steps": 1, "width": 6}}, "prior: width is 6.*num_heads, 4"),
        ({"learning_speed": 2}, "learning_speed = 2 is unknown"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(changes, field):
    with pytest.raises(ConfigurationError, match=field):
        override(tiny(), changes, source="here")


def test_a_term_starts_and_rises_on_schedule():
    term = Term(weight=2.0, start_step=3, ramp_steps=3)
    assert [term.weight_at(step) for step in range(8)] == [0, 0, 0, 0.5, 1.0, 1.5, 2.0, 2.0]
    assert Term(weight=0.5).weight_at(0) == 0.5


def test_the_few_step_half_runs_in_every_nth_step_with_the_terms_that_have_started():
    config = FewStepConfig(every_n_steps=2, l_clip=Term(weight=0.5), l_layout=Term(weight=1.0, start_step=3))
    assert config.losses() == {Loss.FEW_STEP_L_CLIP, Loss.FEW_STEP_L_LAYOUT}
    assert [set(config.weights_at(step)) for step in range(5)] == [
        {Loss.FEW_STEP_L_CLIP},
        set(),
        {Loss.FEW_STEP_L_CLIP},
        set(),
        {Loss.FEW_STEP_L_CLIP, Loss.FEW_STEP_L_LAYOUT},
    ]


def test_what_the_terms_need_is_known():
    assert not tiny().needs_pose
    assert not tiny().needs_clip
    assert sd15_24gb().needs_pose
    assert sd15_24gb().needs_clip


def test_settings_that_a_checkpoint_stored_before_they_were_grouped_are_still_read(tmp_path):
    """The file was written by commit 7ec7251, by the training that the golden losses come from."""
    shutil.copy(GOLDEN / "training_config_before_groups.json", tmp_path / checkpoint.CONFIG_FILE)
    assert checkpoint.read_config(tmp_path) == make_losses.config()


def test_flat_settings_of_a_prior_and_of_shared_weights_find_their_groups():
    flat: dict[str, Any] = {"steps": 1, "batch_size": 2, "prior_steps": 7, "prior_width": 16}
    flat |= {"strategy": "fsdp", "devices": 2, "lightning": None}
    config = from_json(TrainingConfig, in_groups(flat), source="here")
    assert config.prior == PriorConfig(steps=7, width=16)
    assert config.hardware.shard_frozen_weights
    assert config.few_step is None
    with pytest.raises(ConfigurationError, match="learning_speed"):
        from_json(TrainingConfig, in_groups({**flat, "learning_speed": 2}), source="here")


def test_the_settings_of_a_checkpoint_of_today_are_read_as_they_are(tmp_path):
    config = replace(sd15_24gb(), seed=3)
    checkpoint.write_json(tmp_path / checkpoint.CONFIG_FILE, {"config": to_json(config)})
    assert checkpoint.read_config(tmp_path) == config


def test_a_folder_that_is_no_checkpoint_has_no_settings(tmp_path):
    with pytest.raises(WeightsMissing, match="no BoLID checkpoint"):
        checkpoint.read_config(tmp_path)


@pytest.mark.parametrize("names", [["sd15_12gb", "sd15_24gb", "sd15_80gb"], ["sdxl_24gb", "sdxl_80gb"]])
def test_presets_of_a_base_model_show_it_as_many_photos_and_start_each_term_at_the_same_share_of_them(names):
    configs = [PRESETS[name]() for name in names]
    assert len({config.steps * config.batch_size for config in configs}) == 1
    starts = {
        round(config.few_step.l_id.start_step / config.steps, 3)
        for config in configs
        if config.few_step is not None
    }
    assert len(starts) == 1
    warmups = {round(config.optimizer.warmup_steps / config.steps, 3) for config in configs}
    assert len(warmups) == 1
