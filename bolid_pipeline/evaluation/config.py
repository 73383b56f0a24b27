"""What the report draws and measures. This module imports nothing heavy: Dagster reads it when definitions load."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Size and effort of a report.

    Attributes:
        prompts: what every person is drawn as; `{who}` becomes woman, man or person, as the person's captions say.
        num_identities: people drawn, the first of the body bank.
        height_px: of the drawn pictures, a multiple of 8 and of the autoencoder's factor times the U-Net's.
        width_px: likewise.
        num_inference_steps: sampler steps.
        guidance_scale: of classifier-free guidance.
        body_scale: lambda_body.
        num_timesteps: noise levels, evenly spread, at which held-out photos are measured.
        max_heldout: held-out photos measured at most.
        batch_size: pictures drawn or measured at once.
        seed: of all noise.
    """

    prompts: tuple[str, ...] = (
        "a full-length photo of a {who}, facing the camera, standing, wearing a white t-shirt, in a studio",
        "a full-length photo of a {who}, facing the camera, arms raised, wearing a red shirt, on a beach",
        "a full-length photo of a {who}, facing left, walking, wearing a green jacket, in a city street",
    )
    num_identities: int = 6
    height_px: int
    width_px: int
    num_inference_steps: int = 25
    guidance_scale: float = 4.0
    body_scale: float = 1.0
    num_timesteps: int = 5
    max_heldout: int = 64
    batch_size: int = 24
    seed: int = 0


def demo() -> EvaluationConfig:
    """About 24 pictures of 80 x 48 px: seconds on two cores."""
    return EvaluationConfig(height_px=80, width_px=48)


def sd15() -> EvaluationConfig:
    """Tall pictures of Stable Diffusion 1.5's area."""
    return EvaluationConfig(
        height_px=640, width_px=384, num_inference_steps=30, guidance_scale=7.5, max_heldout=256, batch_size=8
    )
