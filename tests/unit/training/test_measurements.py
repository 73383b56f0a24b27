import json

import pytest

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.settings import to_json
from bolid_pipeline.training.measurements import (
    Machine,
    Measurements,
    StageMeasurement,
    StepMeasurement,
    read_measurements,
)

MEASURED = Measurements(
    machine=Machine(
        gpu="A GPU", memory_gib=24.0, torch="2.11", commit="0000000", date="2026-11-26", command="gpu.py"
    ),
    steps=(StepMeasurement(preset="sd15_24gb", part="l_diff", batch_size=32, step_ms=250.0, peak_gib=12.5),),
    stages=(
        StageMeasurement(
            stage="latents", photos_per_second=90.0, network_photos_per_second=100.0, peak_gib=3.0
        ),
    ),
)


def test_measurements_are_read_as_they_were_written(tmp_path):
    (tmp_path / "a_gpu.json").write_text(json.dumps(to_json(MEASURED)))
    (read,) = read_measurements(tmp_path)
    assert read == MEASURED
    assert read.steps[0].images_per_second == 128.0


def test_a_file_of_another_form_is_named_with_the_field(tmp_path):
    written = to_json(MEASURED) | {"steps": [{"preset": "sd15_24gb", "part": "all"}]}
    (tmp_path / "a_gpu.json").write_text(json.dumps(written))
    with pytest.raises(ConfigurationError, match=r"a_gpu\.json: .*steps"):
        list(read_measurements(tmp_path))


def test_the_files_that_come_with_the_package_can_be_read():
    for measurements in read_measurements():
        assert measurements.steps or measurements.stages
