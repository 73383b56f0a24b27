import pytest

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.training.presets import PRESETS
from resources.deployments import DEPLOYMENTS
from resources.environment import current_deployment, current_settings_file


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_training_of_a_deployment_is_that_of_its_preset(name):
    deployment = current_deployment({"BOLID_DEPLOYMENT": name})
    assert deployment.training == PRESETS[deployment.training_preset]()


def test_another_preset_is_chosen_by_a_variable_or_a_settings_file_and_changed_by_what_is_stronger(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('deployment = "theplace_sd15"\ntraining_preset = "sd15_12gb"\n[training]\nseed = 3\n')
    from_file = current_deployment({"BOLID_SETTINGS": str(file)})
    assert from_file.training_preset == "sd15_12gb"
    assert from_file.training.batch_size == PRESETS["sd15_12gb"]().batch_size
    assert from_file.training.seed == 3
    both = {"BOLID_SETTINGS": str(file), "BOLID_TRAINING_PRESET": "sd15_80gb"}
    assert current_deployment(both).training.batch_size == PRESETS["sd15_80gb"]().batch_size
    text = current_settings_file(both)
    assert "batch_size = 48 # training preset sd15_80gb" in text
    file.write_text(text)
    assert current_deployment({"BOLID_SETTINGS": str(file)}) == current_deployment(both)


@pytest.mark.parametrize("name", ["sdxl_24gb", "sd15_48gb"])
def test_a_preset_of_another_base_model_or_of_no_name_is_refused_with_those_that_fit(name):
    with pytest.raises(
        ConfigurationError, match=f"{name}.*theplace_sd15 takes sd15_12gb, sd15_24gb, sd15_80gb"
    ):
        current_deployment({"BOLID_DEPLOYMENT": "theplace_sd15", "BOLID_TRAINING_PRESET": name})
