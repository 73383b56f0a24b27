"""A training whose settings are changed in the launchpad, and the same training again."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest
from published_adapters import save_ip_adapter
from random_latents import store_random_latents

from assets.training import bolid_checkpoint
from bodyworld.weights import weights_folder
from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.training import checkpoint, presets
from resources.deployments import demo
from resources.model_hub import model_hub_of
from resources.table_store import DataStore

IMAGE_EMBED_DIM = 128
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CHANGES = {"steps": 1, "body": {"c_body_dim": 16}, "optimizer": {"learning_rate": 0.02}}


@pytest.fixture
def train(tmp_path):
    """Materialises the checkpoint with launchpad config; returns the materialization."""
    deployment = replace(demo(tmp_path), training=presets.tiny())
    hub = model_hub_of(deployment)
    store_random_latents(tmp_path, hub.latent_models())

    def run(config: Mapping[str, Any]) -> dg.AssetMaterialization:
        done = dg.materialize(
            [bolid_checkpoint],
            run_config={"ops": {"bolid_checkpoint": {"config": config}}},
            resources={
                "store": DataStore(data_dir=str(tmp_path)),
                "model_hub": hub,
                "deployment": deployment,
            },
        )
        (made,) = done.asset_materializations_for_node("bolid_checkpoint")
        return made

    return run


def test_a_changed_setting_shows_in_the_run_and_in_the_checkpoint_and_makes_another_version(train, tmp_path):
    folder = tmp_path / "checkpoints" / "demo"
    changed = train(CHANGES)
    shown = {name: value.value for name, value in changed.metadata.items()}
    assert (shown["num_computed"], shown["steps"], shown["changed_settings"]) == (1, 1, CHANGES)
    tiny = presets.tiny()
    assert checkpoint.read_config(folder) == replace(
        tiny,
        steps=1,
        body=replace(tiny.body, c_body_dim=16),
        optimizer=replace(tiny.optimizer, learning_rate=0.02),
    )
    assert changed.tags["dagster/data_version"] == checkpoint.read_training(folder)["fingerprint"]

    again = train(CHANGES)
    assert again.metadata["num_up_to_date"].value == 1
    assert again.tags["dagster/data_version"] == changed.tags["dagster/data_version"]

    as_the_deployment_says = train({})
    assert as_the_deployment_says.metadata["num_computed"].value == 1
    assert as_the_deployment_says.metadata["changed_settings"].value == {}
    assert checkpoint.read_config(folder) == tiny
    assert as_the_deployment_says.tags["dagster/data_version"] != changed.tags["dagster/data_version"]


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"stpes": 1}, 'unexpected config entry "stpes"'),
        ({"body": {"c_body_dim": "16"}}, "config:body:c_body_dim"),
        ({"few_step": {"id_mode": "absolut"}}, "few_step:id_mode not in enum type"),
    ],
)
def test_a_misspelt_setting_and_a_wrong_type_are_refused_by_name_before_any_work(train, config, complaint):
    with pytest.raises(dg.DagsterInvalidConfigError, match=complaint):
        train(config)


def test_a_number_out_of_range_is_refused_by_name_and_nothing_is_trained(train, tmp_path):
    with pytest.raises(ConfigurationError, match=r"the launchpad: few_step\.every_n_steps is 0"):
        train({"few_step": {"every_n_steps": 0}})
    assert not (tmp_path / "checkpoints").exists()


def test_start_weights_named_in_the_launchpad_reach_the_checkpoint(train, tmp_path):
    unet = load_base_model(weights_folder("base_model")).unet
    start = save_ip_adapter(tmp_path / "ip-adapter.safetensors", unet, IMAGE_EMBED_DIM)
    made = train({"steps": 1, "start_from": str(start)})
    assert made.metadata["changed_settings"].value == {"steps": 1, "start_from": str(start)}
    training = checkpoint.read_training(tmp_path / "checkpoints" / "demo")
    assert training["start_from"]["place"] == str(start)
