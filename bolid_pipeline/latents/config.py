"""Settings of the latents, and the model folders that make them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import PositiveFloat, PositiveInt

from bolid_pipeline.errors import WeightsMissing
from bolid_pipeline.latents.gaussian import ALPHA, SIGMA_FRACTION
from bolid_pipeline.pose.skeleton import MIN_VISIBLE_CONF
from bolid_pipeline.pretrained.weights import folder_sha256
from bolid_pipeline.settings import Field, Probability, settings
from bolid_pipeline.stages.recipe import fingerprint


@settings
class LatentConfig:
    """How a photo becomes latents. The defaults of the weighting are the thesis'."""

    resolution_px: PositiveInt = 64
    """Side of the square bucket; the other buckets have about its area."""
    bucket_multiple_px: PositiveInt = 16
    """Sides of buckets are multiples of this: the VAE's factor times the U-Net's."""
    max_aspect: Annotated[float, Field(ge=1)] = 2.0
    """Largest ratio of a bucket's longer side to its shorter one."""
    sigma_fraction: PositiveFloat = SIGMA_FRACTION
    """Width of the Gaussians, as a fraction of the bucket's side (the square root of its area)."""
    alpha: Probability = ALPHA
    """Weight of a pixel far from every keypoint."""
    min_keypoint_conf: Probability = MIN_VISIBLE_CONF
    """Least confidence of a keypoint that counts as visible."""

    def __post_init__(self) -> None:
        if self.resolution_px % self.bucket_multiple_px:
            raise ValueError(
                f"resolution_px {self.resolution_px} is not a multiple of bucket_multiple_px {self.bucket_multiple_px}"
            )


@dataclass(frozen=True, kw_only=True)
class LatentModels:
    """Folders of the frozen models that make the latents, as diffusers and transformers lay them out."""

    vae: Path
    """An `AutoencoderKL`."""
    image_encoder: Path
    """A `CLIPVisionModelWithProjection`."""
    feature_extractor: Path
    """The image encoder's `CLIPImageProcessor`."""

    @classmethod
    def of_base_model(cls, folder: Path) -> "LatentModels":
        """The models inside a diffusers model folder."""
        return cls(
            vae=folder / "vae",
            image_encoder=folder / "image_encoder",
            feature_extractor=folder / "feature_extractor",
        )

    def fingerprint(self) -> str:
        """16 hex digits that change with any of their files. Raises WeightsMissing."""
        return fingerprint(
            vae=folder_sha256(self.vae),
            image_encoder=folder_sha256(self.image_encoder),
            feature_extractor=folder_sha256(self.feature_extractor),
        )


def read_model_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a model folder. Raises WeightsMissing."""
    try:
        return json.loads((folder / "config.json").read_text())
    except FileNotFoundError:
        raise WeightsMissing(f"no model at {folder}: it has no config.json") from None
