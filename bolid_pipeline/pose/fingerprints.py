"""What makes a row of `poses`: change any of it, and the rows are made again."""

from dataclasses import asdict
from pathlib import Path

from bolid_pipeline.pose.config import PoseConfig
from bolid_pipeline.pretrained.weights import file_sha256
from bolid_pipeline.stages.refresh import fingerprint


def pose_fingerprint(weights: Path, config: PoseConfig) -> str:
    """Of rows made by `PoseStage`. Raises WeightsMissing."""
    return fingerprint(stage="poses", code=1, weights=file_sha256(weights), config=asdict(config))
