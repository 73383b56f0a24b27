"""The composition root: assets, checks, jobs, the schedule, resources. Dagster and the command line load it."""

import logging
from collections.abc import Sequence
from types import ModuleType

import dagster as dg

from assets import captioning, curation, evaluation, latents, pose, scraping, training
from resources.compute_engine import compute_engine_of
from resources.deployments import Deployment
from resources.environment import current_deployment
from resources.model_hub import model_hub_of
from resources.photo_source import photo_source_of
from resources.table_store import data_store_of

STAGES = (scraping, curation, captioning, pose, latents, training, evaluation)
OWNERS = ["team:bolid"]

full_refresh = dg.define_asset_job(
    "full_refresh",
    selection=dg.AssetSelection.all(),
    description="Everything: the data set, a checkpoint trained on it, and the report about the checkpoint.",
)

dataset_refresh = dg.define_asset_job(
    "dataset_refresh",
    selection=dg.AssetSelection.assets("captions", "latents").upstream(),
    description="The data set, from the gallery to captions and latents; only what is new is fetched and computed.",
)

nightly_dataset_refresh = dg.ScheduleDefinition(
    name="nightly_dataset_refresh",
    job=dataset_refresh,
    cron_schedule="0 3 * * *",
    description="Refreshes the data set at three in the morning. Off until someone switches it on.",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    # A run that was killed is started again (dagster.yaml: run_retries), and does not do again what was committed.
    tags={
        "dagster/max_retries": "2",
        "dagster/retry_strategy": "ALL_STEPS",
        "dagster/retry_on_asset_or_op_failure": "false",
    },
)


def assets_of(stage: ModuleType) -> Sequence[dg.AssetsDefinition | dg.AssetSpec]:
    """Return the assets of a stage's module, in the group of its name and with their owners.

    A module that imports another stage's asset object, and not its module, would define that asset a second time.
    """
    group = stage.__name__.removeprefix("assets.")
    found = [
        asset
        for asset in dg.load_assets_from_modules([stage], include_specs=True)
        if isinstance(asset, dg.AssetsDefinition | dg.AssetSpec)
    ]
    return dg.map_asset_specs(lambda spec: spec.replace_attributes(group_name=group, owners=OWNERS), found)


def definitions(deployment: Deployment) -> dg.Definitions:
    """Return everything that Dagster needs to know, for one deployment."""
    # The domain's log lines go into the run's log (dagster.yaml). Their level is set here, because a level there
    # would hide Dagster's own events too.
    logging.getLogger("bolid_pipeline").setLevel(logging.INFO)
    return dg.Definitions(
        assets=[asset for stage in STAGES for asset in assets_of(stage)],
        asset_checks=dg.load_asset_checks_from_modules(STAGES),
        jobs=[full_refresh, dataset_refresh],
        schedules=[nightly_dataset_refresh],
        # All steps of a run share its process: the GPU stack is imported once and not ten times (about 30 s each).
        executor=dg.in_process_executor,
        resources={
            "store": data_store_of(deployment),
            "photo_source": photo_source_of(deployment),
            "model_hub": model_hub_of(deployment),
            "compute_engine": compute_engine_of(deployment),
            "deployment": deployment,
        },
    )


defs = definitions(current_deployment())
