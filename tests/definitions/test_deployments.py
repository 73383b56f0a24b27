"""The environment decides what runs, and is told when it makes no sense."""

from dataclasses import replace
from pathlib import Path

import pytest

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.scraping.config import BODYWORLD_URL, THEPLACE_URL
from resources.compute_engine import ComputeEngine, compute_engine_of
from resources.deployments import DEPLOYMENTS
from resources.environment import current_deployment, environment_of
from resources.photo_source import EmbeddedSource, OwnFolder, WebSource, photo_source_of
from resources.ray_engine import RayComputeEngine
from resources.table_store import DataStore, data_store_of


def test_the_default_is_the_demo_in_the_folder_data():
    deployment = current_deployment({})
    assert deployment.name == "demo"
    assert deployment.data_dir == Path("data").absolute()
    assert deployment.source_url is None


def test_an_unknown_deployment_is_refused_with_the_known_ones():
    with pytest.raises(
        ConfigurationError, match="'demno'; known deployments: demo, theplace_sd15, theplace_sdxl"
    ):
        current_deployment({"BOLID_DEPLOYMENT": "demno"})


@pytest.mark.parametrize("name", list(DEPLOYMENTS))
def test_a_deployment_has_the_name_it_is_asked_for_by(name, tmp_path):
    environment = {"BOLID_DEPLOYMENT": name, "BOLID_DATA_DIR": str(tmp_path)}
    assert current_deployment(environment).name == name


def test_a_mirror_changes_the_address_but_not_what_pages_are_remembered_by():
    environment = {"BOLID_DEPLOYMENT": "theplace_sd15", "BOLID_SOURCE_URL": "http://127.0.0.1:8600"}
    crawl = current_deployment(environment).crawl
    assert (crawl.base_url, crawl.canonical_base_url) == ("http://127.0.0.1:8600", THEPLACE_URL)
    assert current_deployment({}).crawl.canonical_base_url == BODYWORLD_URL


def test_a_proxy_is_used_for_the_site_and_not_for_loopback():
    proxy = {"BOLID_DEPLOYMENT": "theplace_sd15", "HTTPS_PROXY": "http://proxy.example:3128"}
    assert current_deployment(proxy).crawl.proxy_url == "http://proxy.example:3128"
    assert current_deployment({**proxy, "BOLID_SOURCE_URL": "http://localhost:8600"}).crawl.proxy_url is None


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ConfigurationError, match="'theplace': the address of a site begins with http"):
        current_deployment({"BOLID_SOURCE_URL": "theplace"})


def test_a_folder_of_ones_own_takes_the_place_of_the_site():
    environment = {"BOLID_DEPLOYMENT": "theplace_sd15", "BOLID_SOURCE_URL": "file:///my%20photos"}
    deployment = current_deployment(environment)
    assert photo_source_of(deployment) == OwnFolder(address="file:///my%20photos")
    assert (
        deployment.crawl.min_photos
        == current_deployment({"BOLID_DEPLOYMENT": "theplace_sd15"}).crawl.min_photos
    )


def test_another_site_is_read_by_its_own_parsers_and_remembered_by_its_own_address():
    environment = {
        "BOLID_DEPLOYMENT": "theplace_sd15",
        "BOLID_SOURCE_URL": "https://gallery.example",
        "BOLID_SITE_PARSERS": "my_site",
    }
    deployment = current_deployment(environment)
    assert photo_source_of(deployment) == WebSource(base_url="https://gallery.example", parsers="my_site")
    assert deployment.crawl.canonical_base_url == "https://gallery.example"


@pytest.mark.parametrize(
    ("address", "remembered_as"),
    [
        ("https://gallery.example", "https://gallery.example"),
        ("https://93.184.216.34", "https://93.184.216.34"),
        ("http://127.0.0.1:8600", BODYWORLD_URL),
        ("http://localhost:8600", BODYWORLD_URL),
        ("http://stand-in:8600", BODYWORLD_URL),
        ("", BODYWORLD_URL),
    ],
)
def test_only_a_stand_in_of_the_demo_is_remembered_as_the_drawn_people(address, remembered_as):
    assert current_deployment({"BOLID_SOURCE_URL": address}).crawl.canonical_base_url == remembered_as


def test_the_environment_changes_settings_of_the_training_and_leaves_the_others():
    preset = DEPLOYMENTS["theplace_sd15"](Path("data")).training
    shared = {
        "BOLID_DEVICES": "4",
        "BOLID_TRAINING": '{"hardware": {"num_nodes": 2, "shard_frozen_weights": true}}',
    }
    training = current_deployment({"BOLID_DEPLOYMENT": "theplace_sd15", **shared}).training
    hardware = replace(preset.hardware, devices=4, num_nodes=2, shard_frozen_weights=True)
    assert training == replace(preset, hardware=hardware)
    assert current_deployment({"BOLID_DEPLOYMENT": "theplace_sd15"}).training == preset


@pytest.mark.parametrize("name", list(DEPLOYMENTS))
def test_a_trainer_has_the_settings_of_the_run_whatever_else_is_in_the_environment(name, tmp_path):
    preset = current_deployment({"BOLID_DEPLOYMENT": name, "BOLID_DATA_DIR": str(tmp_path / "data")})
    deployment = replace(
        preset,
        training=replace(preset.training, steps=7),
        weight_pins=tmp_path / "pins.json",
        crawl=replace(preset.crawl, excluded_identities=frozenset({"Ёлка", "anna"}), max_identities=None),
    )
    inherited = {"BOLID_SETTINGS": "of_the_run.toml", "BOLID_TRAINING": '{"steps": 9}', "BOLID_DEVICES": "8"}
    assert current_deployment(inherited | environment_of(deployment, tmp_path)) == deployment


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"BOLID_DEVICES": "two"}, "BOLID_DEVICES is 'two': input should be a valid integer"),
        ({"BOLID_TRAINING": "steps=3"}, "BOLID_TRAINING is 'steps=3': invalid JSON"),
        ({"BOLID_TRAINING": "[3]"}, r"BOLID_TRAINING is \[3\]: input should be a valid dictionary"),
        (
            {"BOLID_TRAINING": '{"steps": "3"}'},
            "BOLID_TRAINING: training.steps is '3': input should be a valid integer",
        ),
        ({"BOLID_TRAINING": '{"stpes": 3}'}, "training.stpes = 3 is unknown; did you mean steps?"),
        ({"BOLID_DEVICES": "3"}, "BOLID_DEVICES: training: batch_size 16 cannot be shared by 3 processes"),
        ({"BOLID_DEVICES": "0"}, "BOLID_DEVICES is '0': input should be greater than 0"),
    ],
)
def test_settings_of_the_training_that_make_no_sense_are_refused(environment, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        current_deployment(environment)


def test_all_mistakes_of_an_environment_are_named_at_once():
    environment = {
        "BOLID_COMPUTE": "spark",
        "BOLID_DEVICES": "two",
        "BOLID_SOURCE_URL": "theplace",
        "BOLID_TRAINING": '{"stpes": 3}',
    }
    with pytest.raises(ConfigurationError) as refused:
        current_deployment(environment)
    for complaint in (
        "BOLID_COMPUTE is 'spark': input should be 'local' or 'ray'",
        "BOLID_DEVICES is 'two': input should be a valid integer",
        "BOLID_SOURCE_URL: source_url is 'theplace': the address of a site begins with http:// or https://",
        "BOLID_TRAINING: training.stpes = 3 is unknown; did you mean steps?",
    ):
        assert complaint in str(refused.value)


def test_an_empty_variable_counts_as_not_set():
    assert current_deployment({"BOLID_DATA_DIR": "", "BOLID_TRAINING": ""}) == current_deployment({})


def test_variables_of_this_process_do_not_reach_another_environment(monkeypatch):
    monkeypatch.setenv("BOLID_DEPLOYMENT", "theplace_sd15")
    assert current_deployment({}).name == "demo"
    assert current_deployment().name == "theplace_sd15"


def test_data_on_object_storage_leave_checkpoints_and_the_embedded_world_on_this_machine(tmp_path):
    environment = {"BOLID_DATA_DIR": "s3://bucket/data"}
    deployment = current_deployment(environment)
    assert str(deployment.data_dir) == "s3://bucket/data"
    assert deployment.local_root == Path("data").absolute()
    assert photo_source_of(deployment) == EmbeddedSource(world_dir=str(Path("data").absolute() / "bodyworld"))
    named = current_deployment({**environment, "BOLID_LOCAL_DIR": str(tmp_path)})
    assert data_store_of(named).checkpoints == tmp_path / "checkpoints"
    assert str(data_store_of(named).tables.root) == "s3://bucket/data/tables"


def test_a_store_on_object_storage_asks_for_a_folder_when_it_needs_one():
    with pytest.raises(ConfigurationError, match=r"s3://bucket/data is an address: .* BOLID_LOCAL_DIR"):
        _ = DataStore(data_dir="s3://bucket/data").checkpoints


def test_stages_run_in_the_runs_own_process_or_on_a_ray_cluster():
    assert compute_engine_of(current_deployment({"RAY_ADDRESS": "head:6379"})) == ComputeEngine()
    environment = {"BOLID_COMPUTE": "ray", "RAY_ADDRESS": "head:6379", "BOLID_RAY_GPUS": "0.5"}
    assert compute_engine_of(current_deployment(environment)) == RayComputeEngine(
        address="head:6379", gpus_per_actor=0.5
    )
    here = compute_engine_of(current_deployment({"BOLID_COMPUTE": "ray", "BOLID_RAY_ACTORS": "4"}))
    assert here == RayComputeEngine(max_actors=4)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("BOLID_COMPUTE", "spark"), ("BOLID_RAY_GPUS", "one"), ("BOLID_RAY_ACTORS", "-1")],
)
def test_a_cluster_that_makes_no_sense_is_refused(variable, value):
    with pytest.raises(ConfigurationError, match=f"{variable} is '{value}'"):
        current_deployment({"BOLID_COMPUTE": "ray", variable: value})
