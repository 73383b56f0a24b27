"""The model: two branches beside the frozen base model, trained on the latents."""

import dagster as dg

from assets.captioning import captions
from assets.latents import latents
from assets.metadata import OWNERS
from bolid_pipeline.latents.cache import open_latents
from bolid_pipeline.orchestration.fitting import fit_checkpoint, training_inputs
from bolid_pipeline.orchestration.trainers import train_in_processes
from bolid_pipeline.training import checkpoint
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


@dg.asset(
    group_name="training",
    kinds={"lightning", "safetensors"},
    owners=OWNERS,
    code_version="1",
    deps=[captions, latents],
    pool="gpu",
)
def bolid_checkpoint(
    context: dg.AssetExecutionContext,
    store: DataStore,
    model_hub: ModelHub,
    deployment: dg.ResourceParam[Deployment],
) -> dg.MaterializeResult:
    """Reference branch, body branch, body encoder and body bank; kept as it is where its inputs are the same.

    On one device the training runs here. On several it runs in processes of its own, which never see the Dagster run.
    """
    folder = store.checkpoints / deployment.name
    inputs = training_inputs(store, model_hub)
    is_known = checkpoint.is_up_to_date(
        folder, checkpoint.training_fingerprint(deployment.training, **inputs)
    )
    reported: dg.RawMetadataMapping = {}
    if not is_known and deployment.training.hardware.num_processes > 1:
        reported = train_in_processes(context, deployment).metadata or {}
    elif not is_known:
        fit_checkpoint(store, model_hub, deployment)
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(folder),
            "num_computed": int(not is_known),
            "num_up_to_date": int(is_known),
            "num_photos": len(inputs["latents"]),
            **reported,
            **checkpoint.read_metrics(folder),
        }
    )


@dg.asset_check(asset=bolid_checkpoint, blocking=True)
def the_body_bank_knows_every_identity(
    store: DataStore, model_hub: ModelHub, deployment: dg.ResourceParam[Deployment]
) -> dg.AssetCheckResult:
    """c_body is there for everyone in the latents, and for nobody else."""
    from bolid_pipeline.models.body_bank import BodyBank

    rows = open_latents(store.tables, model_hub.latent_models())
    known = set(BodyBank.load(store.checkpoints / deployment.name).identities)
    different = sorted(known ^ set(rows.identities))
    return dg.AssetCheckResult(
        passed=not different, metadata={"num_identities": len(known), "different": different}
    )
