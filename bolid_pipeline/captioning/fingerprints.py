"""What makes a row of `captions`: change any of it, and the rows are made again."""

from dataclasses import asdict
from pathlib import Path

from bolid_pipeline.captioning.config import ClipCaptionConfig, VlmConfig
from bolid_pipeline.pretrained.weights import folder_sha256
from bolid_pipeline.stages.refresh import fingerprint


def caption_fingerprint(folder: Path, config: ClipCaptionConfig | VlmConfig) -> str:
    """Of rows made by the captioner that loads `folder` with `config`. Raises WeightsMissing."""
    return fingerprint(
        stage="captions",
        code=1,
        captioner=type(config).__name__,
        model=folder_sha256(folder),
        config=asdict(config),
    )
