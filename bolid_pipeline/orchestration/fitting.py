"""The training of a deployment's checkpoint from the resources that hold its inputs, in this process."""

from typing import Any

from bolid_pipeline.latents.cache import open_latents
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


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
