"""The data of a report: opened once, then handed to the evaluation and its fingerprint."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bolid_pipeline.evaluation.config import EvaluationConfig
from bolid_pipeline.latents.config import LatentModels
from bolid_pipeline.pretrained.weights import folder_sha256
from bolid_pipeline.settings import to_json
from bolid_pipeline.stages.recipe import fingerprint
from bolid_pipeline.training.data import TrainingData

CODE_VERSION = "4"
"""Raised whenever a change of the evaluation code gives another report for the same inputs."""


@dataclass(frozen=True, kw_only=True)
class EvaluationData:
    """Inputs of a report, apart from the settings."""

    checkpoint: Path
    """Folder of the checkpoint."""
    trained_on: TrainingData
    """The data that the checkpoint was trained on."""
    clip: Path | None = None
    """CLIPModel folder that measures CLIP-T; None leaves CLIP-T out."""
    latent_models: LatentModels | None = None
    """Their image encoder, which made the embeddings of the photos, measures CLIP-I and retrieval if the base model has
    none of its own."""

    def fingerprint(self, config: EvaluationConfig) -> str:
        """The fingerprint of the report that these settings make of the data.

        Raises:
            WeightsMissing: a folder is missing.
        """
        return fingerprint(code_version=CODE_VERSION, config=to_json(config), data=self._content)

    @cached_property
    def _content(self) -> str:
        """The fingerprint of the data alone; computed once, as it reads whole models."""
        return fingerprint(
            checkpoint=folder_sha256(self.checkpoint),
            clip=None if self.clip is None else folder_sha256(self.clip),
            latent_models=None if self.latent_models is None else self.latent_models.fingerprint(),
            trained_on=self.trained_on.content,
        )
