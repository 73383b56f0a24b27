"""The model: two branches beside the frozen base model, trained on the latents."""

from typing import Any

import dagster as dg

from assets.captioning import captions
from assets.latents import latents_asset
from assets.metadata import OWNERS
from bolid_pipeline.latents.cache import open_latents
from bolid_pipeline.training import checkpoint
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore
from resources.trainers import train_in_processes


@dg.asset(
    group_name="training",
    kinds={"lightning", "safetensors"},
    owners=OWNERS,
    code_version="1",
    deps=[captions, latents_asset],
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
    if not is_known and deployment.training.num_processes > 1:
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


def training_inputs(store: DataStore, model_hub: ModelHub) -> dict[str, Any]:
    """What a checkpoint is made from, beside the settings; keyword arguments of `fit` and of its fingerprint."""
    return {
        "base_model": model_hub.folder("base_model"),
        "latents": open_latents(store.tables, model_hub.latent_models()),
        "captions": store.captions(),
        "clusters": store.photo_clusters(),
    }


def fit_checkpoint(store: DataStore, model_hub: ModelHub, deployment: Deployment) -> None:
    """Train, in this process."""
    from bolid_pipeline.training.fit import fit
    from bolid_pipeline.training.loss_networks import LossNetworkFiles

    config = deployment.training
    networks = LossNetworkFiles(
        pose=model_hub.file("pose_estimator") if config.needs_pose else None,
        clip=model_hub.folder("clip") if config.needs_clip else None,
    )
    run_dir = store.checkpoints / deployment.name
    fit(config, **training_inputs(store, model_hub), networks=networks, run_dir=run_dir)


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
