import json
from typing import Any

import pytest

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.training.config import LightningConfig, Term, TrainingConfig, demo, sd15


@pytest.mark.parametrize("preset", [demo, sd15])
def test_a_preset_survives_json(preset):
    assert TrainingConfig.from_json(json.loads(json.dumps(preset().to_json()))) == preset()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("batch_size", -1),
        ("drop_ref", 1.5),
        ("ema_decay", 1.0),
        ("encoder_grid", 10),
        ("log_every_n_steps", 0),
        ("background_weight", 0.0),
    ],
)
def test_a_number_out_of_range_is_named(field, value):
    settings: dict[str, Any] = {"steps": 1, "batch_size": 1, "drop_ref": 0.4, field: value}
    with pytest.raises(ConfigurationError, match=field):
        TrainingConfig(**settings)


def test_an_unknown_setting_is_named():
    with pytest.raises(ConfigurationError, match="learning_speed"):
        TrainingConfig.from_json({"steps": 1, "batch_size": 1, "learning_speed": 2})


def test_an_unknown_setting_of_a_part_is_named():
    with pytest.raises(ConfigurationError, match="wait"):
        TrainingConfig.from_json({"steps": 1, "batch_size": 1, "kl": {"wait": 2}})


def test_a_term_starts_and_rises_on_schedule():
    term = Term(weight=2.0, start_step=3, ramp_steps=3)
    assert [term.weight_at(step) for step in range(8)] == [0, 0, 0, 0.5, 1.0, 1.5, 2.0, 2.0]
    assert Term(weight=0.5).weight_at(0) == 0.5


@pytest.mark.parametrize("gradient_steps", [0, 5])
def test_a_gradient_goes_through_steps_that_are_there(gradient_steps):
    with pytest.raises(ConfigurationError, match="gradient_steps"):
        LightningConfig(num_steps=4, gradient_steps=gradient_steps)


def test_what_the_terms_need_is_known():
    bare = TrainingConfig(steps=1, batch_size=1)
    assert not bare.needs_pose
    assert not bare.needs_clip
    assert sd15().needs_pose
    assert sd15().needs_clip
