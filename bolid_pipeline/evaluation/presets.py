"""Settings of a report by name: the demo's and those of the published base models."""

from bolid_pipeline.evaluation.config import EvaluationConfig


def demo() -> EvaluationConfig:
    """About 24 pictures of 80 x 48 px: seconds on two cores."""
    return EvaluationConfig(height_px=80, width_px=48)


def sd15() -> EvaluationConfig:
    """Tall pictures of the area that Stable Diffusion 1.5 was trained on."""
    return EvaluationConfig(
        height_px=640, width_px=384, num_inference_steps=30, guidance_scale=7.5, max_heldout=256, batch_size=8
    )
