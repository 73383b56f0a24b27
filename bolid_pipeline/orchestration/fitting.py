"""The training of a deployment's checkpoint from the resources that hold its data, in this process."""

import sys

from bolid_pipeline.latents.cache import open_latents
from bolid_pipeline.training.data import TrainingData
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


def open_training_data(store: DataStore, model_hub: ModelHub) -> TrainingData:
    """The data that a checkpoint is made from. Open it once: it reads whole tables."""
    return TrainingData(
        base_model=model_hub.folder("base_model"),
        latents=open_latents(store.tables, model_hub.latent_models()),
        captions=store.captions(),
        clusters=store.photo_clusters(),
    )


def fit_checkpoint(data: TrainingData, store: DataStore, model_hub: ModelHub, deployment: Deployment) -> None:
    """Train the deployment's checkpoint on the data, in this process."""
    from bolid_pipeline.training.fit import fit
    from bolid_pipeline.training.loss_networks import LossNetworkFiles

    config = deployment.training
    networks = LossNetworkFiles(
        pose=model_hub.weights("pose_estimator") if config.needs_pose else None,
        clip=model_hub.folder("clip") if config.needs_clip else None,
    )
    folder = store.checkpoints / deployment.name
    fit(config, data, folder, networks=networks, progress=sys.stderr.isatty())
