"""The data of a training: opened once, then handed to the training, its fingerprint and the report."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.pretrained.weights import content_sha256, folder_sha256
from bolid_pipeline.settings import to_json
from bolid_pipeline.stages.recipe import fingerprint
from bolid_pipeline.training.checkpoint import CODE_VERSION
from bolid_pipeline.training.config import TrainingConfig

_HOW_NOT_WHAT = {
    "hardware": ("devices", "num_nodes", "shard_frozen_weights", "gradient_checkpointing", "compile_unet"),
    "intervals": ("checkpoint",),
}
"""Settings that do not change the result of a training, by their groups."""


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Inputs of a checkpoint, apart from the settings."""

    base_model: Path
    """Diffusers folder of the frozen base model."""
    latents: LatentTable
    """The latent table, made by the autoencoder of that base model."""
    captions: Mapping[str, str]
    """Photo id -> caption."""
    clusters: Mapping[str, str] = field(default_factory=dict[str, str])
    """Photo id -> name of its group of near duplicates, for photos that have one."""
    start_from: Path | None = None
    """The IP-Adapter file or the BoLID checkpoint whose weights training starts with; None for new ones."""

    def fingerprint(self, config: TrainingConfig) -> str:
        """The fingerprint of the checkpoint that these settings make of the data.

        Raises:
            WeightsMissing: the base model or the start weights are missing.
        """
        return fingerprint(
            code_version=CODE_VERSION,
            config=_what_it_makes(config),
            data=self.content,
            start_from=None if self.start_from is None else content_sha256(self.start_from),
        )

    @cached_property
    def content(self) -> str:
        """The fingerprint of the data alone; computed once, as it reads the whole base model."""
        return fingerprint(base_model=folder_sha256(self.base_model), rows=self._rows_sha256())

    def _rows_sha256(self) -> str:
        """Of all rows in the order of their photo ids, one at a time."""
        latents, digest = self.latents, hashlib.sha256()
        for row in sorted(range(len(latents)), key=latents.photo_ids.__getitem__):
            photo_id = latents.photo_ids[row]
            facts = (
                photo_id,
                latents.identities[row],
                latents.row_fingerprints[row],
                self.captions.get(photo_id, ""),
                self.clusters.get(photo_id),
            )
            digest.update(json.dumps(facts).encode())
        return digest.hexdigest()


def _what_it_makes(config: TrainingConfig) -> dict[str, Any]:
    """The settings as JSON, without those that do not change the result of a training."""
    return {
        name: {key: each for key, each in value.items() if key not in _HOW_NOT_WHAT[name]}
        if name in _HOW_NOT_WHAT
        else value
        for name, value in to_json(config).items()
        if name != "start_from"  # the content of the start weights counts, not how they are named
    }
