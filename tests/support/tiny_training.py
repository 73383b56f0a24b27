"""A training on random latents, small enough for a test."""

from collections.abc import Mapping
from pathlib import Path

from random_latents import captions_of, random_latents

from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.data import TrainingData
from bolid_pipeline.training.datamodule import BoLIDDataModule
from bolid_pipeline.training.fit import make_system
from bolid_pipeline.training.loss_networks import LossNetworkFiles
from bolid_pipeline.training.presets import tiny
from bolid_pipeline.training.system import BoLIDSystem


def random_data(
    base_model: Path, latents: LatentTable | None = None, *, clusters: Mapping[str, str] | None = None
) -> TrainingData:
    """Random latents, or the given ones, with captions."""
    latents = random_latents() if latents is None else latents
    return TrainingData(
        base_model=base_model, latents=latents, captions=captions_of(latents), clusters=clusters or {}
    )


def make_training(
    data: TrainingData, config: TrainingConfig | None = None, networks: LossNetworkFiles | None = None
) -> tuple[BoLIDSystem, BoLIDDataModule]:
    """The system and its batches."""
    return make_system(config or tiny(), data, networks)
