"""`python -m bodyworld.pretrain`: list the stages of the training, in order."""

import ast
from pathlib import Path

STAGES = (
    "photos",
    "pose_estimator",
    "face_detector",
    "watermark_classifier",
    "calibrate_detectors",
    "evaluate_detectors",
    "thumbnails",
    "autoencoder",
    "clip",
    "base_model",
    "evaluate_base",
)
"""Modules of this package with a command, each after what it needs."""


def describe(stage: str) -> str:
    """The first line of a stage's docstring, read without importing the stage and torch with it."""
    source = (Path(__file__).parent / f"{stage}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").splitlines()[0]


def main() -> None:
    """Print every stage with what it does."""
    print("Run a stage with `python -m bodyworld.pretrain.STAGE`; --help names its options.\n")
    for stage in STAGES:
        print(f"{stage:22}{describe(stage)}")


if __name__ == "__main__":
    main()
