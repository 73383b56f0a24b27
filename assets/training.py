"""The model: two branches beside the frozen base model, trained on the latents."""

from dataclasses import replace

import dagster as dg

from assets import captioning, curation, latents
from assets.checks import check_result
from bolid_pipeline.latents.cache import open_latents
from bolid_pipeline.orchestration.fitting import fit_checkpoint, open_training_data, start_weights
from bolid_pipeline.orchestration.launchpad import overrides_of
from bolid_pipeline.orchestration.trainers import train_in_processes
from bolid_pipeline.training import checkpoint, checks
from bolid_pipeline.training.config import TrainingConfig
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


class TrainingOverrides(overrides_of(TrainingConfig)):
    """Settings of the training for this run. A field that is not set stays as the deployment says."""


@dg.asset(
    kinds={"lightning", "safetensors"},
    code_version=checkpoint.CODE_VERSION,
    deps=[captioning.captions, latents.latents, curation.photo_clusters],
    pool="gpu",
)
def bolid_checkpoint(
    context: dg.AssetExecutionContext,
    config: TrainingOverrides,
    store: DataStore,
    model_hub: ModelHub,
    deployment: dg.ResourceParam[Deployment],
) -> dg.MaterializeResult:
    """Reference branch, body branch, body encoder and body bank. Trained only if its inputs or settings have changed.

    On one device the training runs in the process of the run. On several it runs in a process per device.
    """
    deployment = replace(deployment, training=config.applied_to(deployment.training))
    folder = store.checkpoints / deployment.name
    data = open_training_data(store, model_hub, start_weights(store, model_hub, deployment))
    made_by = data.fingerprint(deployment.training)
    is_known = checkpoint.is_up_to_date(folder, made_by)
    reported: dg.RawMetadataMapping = {}
    if not is_known and deployment.training.hardware.num_processes > 1:
        reported = train_in_processes(context, deployment).metadata or {}
    elif not is_known:
        fit_checkpoint(data, store, model_hub, deployment)
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(folder),
            "num_computed": int(not is_known),
            "num_up_to_date": int(is_known),
            "num_photos": len(data.latents),
            "changed_settings": config.changes(),
            **reported,
            **checkpoint.read_metrics(folder),
        },
        data_version=dg.DataVersion(made_by),
    )


@dg.asset_check(asset=bolid_checkpoint, blocking=True)
def the_body_bank_knows_every_identity(
    store: DataStore, model_hub: ModelHub, deployment: dg.ResourceParam[Deployment]
) -> dg.AssetCheckResult:
    """The body bank holds a c_body for everyone in the latents, and for nobody else."""
    from bolid_pipeline.models.body_bank import BodyBank

    rows = open_latents(store.tables, model_hub.latent_models())
    bank = BodyBank.load(store.checkpoints / deployment.name)
    return check_result(checks.the_body_bank_knows_every_identity(bank.identities, rows.identities))
