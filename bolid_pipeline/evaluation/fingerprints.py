"""What a report is a function of: change any of it, and the report is made again."""

from collections.abc import Mapping
from pathlib import Path

from bolid_pipeline.evaluation.config import EvaluationConfig
from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.pretrained.weights import folder_sha256
from bolid_pipeline.settings import to_json
from bolid_pipeline.stages.recipe import fingerprint
from bolid_pipeline.training.checkpoint import captioned_rows

CODE_VERSION = "2"
"""Raised with every change of the evaluation code that changes what it makes of the same inputs."""


def report_fingerprint(
    config: EvaluationConfig,
    *,
    checkpoint: Path,
    base_model: Path,
    latents: LatentTable,
    captions: Mapping[str, str],
    clip: Path | None = None,
) -> str:
    """Of the report that `evaluate` makes of the same arguments. Raises WeightsMissing."""
    return fingerprint(
        code_version=CODE_VERSION,
        config=to_json(config),
        checkpoint=folder_sha256(checkpoint),
        base_model=folder_sha256(base_model),
        clip=None if clip is None else folder_sha256(clip),
        rows=captioned_rows(latents, captions),
    )
