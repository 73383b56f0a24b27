"""The training of a deployment's checkpoint from the resources that hold its data, in this process."""

import sys
from pathlib import Path
from typing import cast, get_args

from bolid_pipeline.errors import ConfigurationError, OutOfMemory, WeightsMissing
from bolid_pipeline.latents.cache import open_latents
from bolid_pipeline.pretrained.weights import verify
from bolid_pipeline.training.data import TrainingData
from resources.deployments import Deployment, Role
from resources.model_hub import ModelHub
from resources.table_store import DataStore


def open_training_data(store: DataStore, model_hub: ModelHub, start_from: Path | None = None) -> TrainingData:
    """The data that a checkpoint is made from. Open it once: it reads whole tables."""
    return TrainingData(
        base_model=model_hub.folder("base_model"),
        latents=open_latents(store.tables, model_hub.latent_models()),
        captions=store.captions(),
        clusters=store.photo_clusters(),
        start_from=start_from,
    )


def start_weights(store: DataStore, model_hub: ModelHub, deployment: Deployment) -> Path | None:
    """The file or folder that `training.start_from` names by a role or a path; None if it names nothing.

    Raises:
        ConfigurationError: it names the checkpoint that the training writes, or weights that are not pinned.
        WeightsMissing, WeightsMismatch: the weights are missing, or are not the pinned ones.
    """
    named = deployment.training.start_from
    if named is None:
        return None
    if named in get_args(Role):
        return verify(model_hub.file(cast(Role, named)))
    place = Path(named).expanduser().absolute()
    if not place.exists():
        raise WeightsMissing(
            f"training.start_from is {named!r}: no file or folder lies there, and no role of weights has this name"
        )
    written = store.checkpoints / deployment.name
    if place.resolve() == written.resolve():
        raise ConfigurationError(
            f"training.start_from is {named!r}, the checkpoint that this training replaces: copy it elsewhere first"
        )
    return place


def fit_checkpoint(data: TrainingData, store: DataStore, model_hub: ModelHub, deployment: Deployment) -> None:
    """Train the deployment's checkpoint on the data, in this process."""
    from bolid_pipeline.training.fit import fit
    from bolid_pipeline.training.loss_networks import LossNetworkFiles

    config = deployment.training
    needs_pictures = config.needs_pose or config.needs_clip
    networks = LossNetworkFiles(
        pose=model_hub.weights("pose_estimator") if config.needs_pose else None,
        clip=model_hub.folder("clip") if config.needs_clip else None,
        decoder=model_hub.folder("tiny_autoencoder")
        if needs_pictures and "tiny_autoencoder" in deployment.weight_repositories
        else None,
    )
    folder = store.checkpoints / deployment.name
    try:
        fit(config, data, folder, networks=networks, progress=sys.stderr.isatty())
    except OutOfMemory as error:
        raise OutOfMemory(f"training preset {deployment.training_preset}: {error}") from error
