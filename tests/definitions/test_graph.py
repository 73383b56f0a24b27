"""The graph as others rely on it: a change of keys, dependencies, groups, kinds, pools or checks shows as a diff."""

import dagster as dg
import pytest

from bolid_pipeline.captioning.recipe import CaptionRecipe
from bolid_pipeline.curation.recipes import PeopleRecipe, WatermarkRecipe
from bolid_pipeline.definitions import definitions
from bolid_pipeline.latents.recipe import LatentRecipe
from bolid_pipeline.pose.recipe import PoseRecipe
from resources.deployments import DEPLOYMENTS


@pytest.fixture(scope="module")
def defs(tmp_path_factory):
    return definitions(DEPLOYMENTS["demo"](tmp_path_factory.mktemp("data")))


def test_the_graph_is_the_one_of_the_snapshot(defs, snapshot):
    graph = defs.resolve_asset_graph()
    assert {
        key.to_user_string(): {
            "deps": sorted(dep.to_user_string() for dep in graph.get(key).parent_keys),
            "group": graph.get(key).group_name,
            "kinds": sorted(
                tag.removeprefix("dagster/kind/") for tag in graph.get(key).tags if "/kind/" in tag
            ),
            "owners": graph.get(key).owners,
            "pools": sorted(graph.get(key).pools or ()),
            "checks": sorted(check.name for check in graph.get(key).check_keys),
        }
        for key in graph.toposorted_asset_keys
    } == snapshot


def test_every_asset_says_what_it_is(defs):
    for spec in defs.resolve_all_asset_specs():
        assert spec.description
        assert spec.code_version
        assert spec.owners == ["team:bolid"]


@pytest.mark.parametrize("recipe", [WatermarkRecipe, PeopleRecipe, CaptionRecipe, PoseRecipe, LatentRecipe])
def test_the_code_version_that_dagster_compares_is_the_one_in_the_fingerprint(defs, recipe):
    assert defs.resolve_asset_graph().get(dg.AssetKey(recipe.table)).code_version == recipe.code_version


def test_every_check_blocks(defs):
    checks = defs.resolve_asset_graph().asset_check_keys
    specs = [check for asset in defs.asset_checks or () for check in asset.check_specs]
    assert {spec.key for spec in specs} == set(checks)
    assert all(spec.blocking and spec.description for spec in specs)


def test_dataset_refresh_ends_at_the_latents(defs):
    jobs = {name: defs.resolve_job_def(name).asset_layer.executable_asset_keys for name in JOBS}
    assert jobs["full_refresh"] - jobs["dataset_refresh"] == {
        dg.AssetKey("bolid_checkpoint"),
        dg.AssetKey("evaluation_report"),
    }


def test_the_nightly_schedule_asks_for_the_data_set_and_is_off(defs):
    schedule = defs.resolve_schedule_def("nightly_dataset_refresh")
    assert schedule.job_name == "dataset_refresh"
    assert schedule.cron_schedule == "0 3 * * *"
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.tags["dagster/max_retries"] == "2"


@pytest.mark.parametrize("name", list(DEPLOYMENTS))
def test_every_deployment_loads(name, tmp_path):
    dg.Definitions.validate_loadable(definitions(DEPLOYMENTS[name](tmp_path)))


JOBS = ("full_refresh", "dataset_refresh")
