"""What makes a row of the curation's tables: change any of it, and the rows are made again."""

from dataclasses import asdict
from pathlib import Path

from bolid_pipeline.curation.config import PeopleConfig
from bolid_pipeline.pretrained.weights import file_sha256
from bolid_pipeline.stages.refresh import fingerprint


def watermark_fingerprint(weights: Path) -> str:
    """Of rows made by `WatermarkStage`. Raises WeightsMissing."""
    return fingerprint(stage="watermark_scores", code=1, weights=file_sha256(weights))


def people_fingerprint(face_weights: Path, pose_weights: Path, config: PeopleConfig) -> str:
    """Of rows made by `PeopleStage`. Raises WeightsMissing."""
    return fingerprint(
        stage="face_detections",
        code=1,
        face_weights=file_sha256(face_weights),
        pose_weights=file_sha256(pose_weights),
        config=asdict(config),
    )
