"""Settings of a report. This module imports nothing heavy: Dagster reads it when definitions load."""

from typing import Annotated

from bolid_pipeline.settings import Field, settings

Count = Annotated[int, Field(gt=0)]


@settings
class EvaluationConfig:
    """Size and effort of a report."""

    prompts: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "a full-length photo of a {who}, facing the camera, standing, wearing a white t-shirt, in a studio",
        "a full-length photo of a {who}, facing the camera, arms raised, wearing a red shirt, on a beach",
        "a full-length photo of a {who}, facing left, walking, wearing a green jacket, in a city street",
    )
    """Prompts that every person is drawn from; `{who}` becomes woman, man or person, as the person's captions say."""
    num_identities: Count = 6
    """Number of people drawn, the first of the body bank."""
    height_px: Annotated[int, Field(gt=0, multiple_of=8)]
    """Height of the drawn pictures, a multiple of the autoencoder's factor times the U-Net's."""
    width_px: Annotated[int, Field(gt=0, multiple_of=8)]
    """Width of the drawn pictures, a multiple of the same number."""
    num_inference_steps: Count = 25
    """Sampler steps."""
    guidance_scale: Annotated[float, Field(ge=0)] = 4.0
    """Scale of classifier-free guidance."""
    body_scale: Annotated[float, Field(ge=0)] = 1.0
    """lambda_body, the weight of the body branch."""
    num_timesteps: Count = 5
    """Noise levels, evenly spread, at which held-out photos are measured."""
    max_heldout: Annotated[int, Field(ge=0)] = 64
    """Most held-out photos that are measured."""
    batch_size: Count = 24
    """Pictures drawn or measured at once."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of all noise."""
