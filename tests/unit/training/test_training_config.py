import json
from typing import Any

import pytest

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.training.config import TrainingConfig, demo, sd15


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
        ("drop_text", 0.9),
    ],
)
def test_a_number_out_of_range_is_named(field, value):
    settings: dict[str, Any] = {"steps": 1, "batch_size": 1, "drop_ref": 0.4, field: value}
    with pytest.raises(ConfigurationError, match=field):
        TrainingConfig(**settings)


def test_an_unknown_setting_is_named():
    with pytest.raises(ConfigurationError, match="learning_speed"):
        TrainingConfig.from_json({"steps": 1, "batch_size": 1, "learning_speed": 2})
