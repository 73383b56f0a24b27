"""Settings of a training by name: the demo's, those of the published base models by GPU, and a tiny one for tests."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from bolid_pipeline.training.config import (
    BodyConfig,
    DiffusionConfig,
    DropoutConfig,
    FewStepConfig,
    HardwareConfig,
    IntervalsConfig,
    OptimizerConfig,
    PriorConfig,
    Term,
    TrainingConfig,
)

PresetName = Literal["demo", "sd15_12gb", "sd15_24gb", "sd15_80gb", "sdxl_24gb", "sdxl_80gb"]
"""A base model and the memory of the GPU that it is trained on."""


def demo() -> TrainingConfig:
    """About a minute and a half on two cores: 64 px, a few people.

    The reference is dropped often, because the demo draws from text. All noise levels weigh alike, as they did when
    the small base model learned to predict v: min-SNR would leave little weight where a body's outline is decided.
    """
    return TrainingConfig(
        steps=300,
        batch_size=16,
        num_caption_variants=4,
        pose_image_size_px=192,
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=10, ema_decay=0.98),
        dropout=DropoutConfig(text=0.1, ref=0.7, all=0.0),
        diffusion=DiffusionConfig(min_snr_gamma=None),
        body=BodyConfig(width=128),
        prior=PriorConfig(steps=200, width=128),
        intervals=IntervalsConfig(checkpoint=50),
    )


def sd15_12gb() -> TrainingConfig:
    """Stable Diffusion 1.5 at 512 px on a GPU of 12 GB."""
    return _published(batch_size=16, num_photos=_SD15_PHOTOS)


def sd15_24gb() -> TrainingConfig:
    """Stable Diffusion 1.5 at 512 px on a GPU of 24 GB."""
    return _published(batch_size=32, num_photos=_SD15_PHOTOS)


def sd15_80gb() -> TrainingConfig:
    """Stable Diffusion 1.5 at 512 px on a GPU of 80 GB, which need not compute activations twice."""
    return _published(batch_size=48, num_photos=_SD15_PHOTOS, recompute=False)


def sdxl_24gb() -> TrainingConfig:
    """Stable Diffusion XL at 1024 px on a GPU of 24 GB: L_diff and KL alone.

    Weights, gradients and optimiser take 20 GiB; the networks and pictures of L_id and L_CLIP find no room.
    """
    whole = _published(batch_size=4, num_photos=_SDXL_PHOTOS, body_grid=32)
    return replace(whole, diffusion=DiffusionConfig(), few_step=None)


def sdxl_80gb() -> TrainingConfig:
    """Stable Diffusion XL at 1024 px on a GPU of 80 GB."""
    return _published(batch_size=16, num_photos=_SDXL_PHOTOS, body_grid=32)


def tiny() -> TrainingConfig:
    """Two steps of small networks, in seconds on one core; every sample keeps all its conditions. For tests."""
    return TrainingConfig(
        steps=2,
        batch_size=4,
        heldout_fraction=0.2,
        pose_image_size_px=64,
        optimizer=OptimizerConfig(learning_rate=0.01),
        dropout=DropoutConfig(text=0.0, ref=0.0, body=0.0, all=0.0),
        body=BodyConfig(c_body_dim=12, grid=8, width=32, num_layers=1),
    )


def _published(
    *,
    batch_size: int,
    num_photos: int,
    body_grid: int = BodyConfig().grid,
    recompute: bool = True,
) -> TrainingConfig:
    """The whole objective in the thesis' proportions. Presets of one base model differ in nothing but memory and speed.

    All show the model as many photos, in more steps where a step has fewer of them. The few-step half starts when the
    bodies can be seen; its sampler works with any base model. The gradient flows through the last sampler step: all
    four cost more and did no better (docs/benchmarks.md, "Body identity").

    Args:
        batch_size: photos of a step; the few-step half takes an eighth of them.
        num_photos: photos of the whole training, counted as often as they are shown.
        body_grid: cells along the longer side of a body latent.
        recompute: compute activations again in the backward pass instead of keeping them.
    """
    steps = num_photos // batch_size
    begin = steps // 10
    few_step = FewStepConfig(
        every_n_steps=4,
        batch_size=max(1, batch_size // 8),
        l_id=Term(weight=0.5, start_step=begin, ramp_steps=begin),
        l_clip=Term(weight=0.1, start_step=begin, ramp_steps=begin),
        l_semantic=Term(weight=0.6, start_step=begin),
        l_layout=Term(weight=0.1, start_step=begin),
    )
    return TrainingConfig(
        steps=steps,
        batch_size=batch_size,
        start_from="ip_adapter",
        num_caption_variants=2,
        optimizer=OptimizerConfig(warmup_steps=steps // 50),
        diffusion=DiffusionConfig(l_id=Term(weight=0.01, start_step=steps // 25, ramp_steps=steps // 25)),
        few_step=few_step,
        body=BodyConfig(grid=body_grid),
        prior=PriorConfig(steps=20_000, width=512),
        hardware=HardwareConfig(gradient_checkpointing=recompute, compile_unet=True),
        intervals=IntervalsConfig(log=50, preview=1000),
    )


_SD15_PHOTOS = 1_536_000
_SDXL_PHOTOS = 384_000

PRESETS: Mapping[PresetName, Callable[[], TrainingConfig]] = {
    "demo": demo,
    "sd15_12gb": sd15_12gb,
    "sd15_24gb": sd15_24gb,
    "sd15_80gb": sd15_80gb,
    "sdxl_24gb": sdxl_24gb,
    "sdxl_80gb": sdxl_80gb,
}
"""The presets that a deployment can choose; those of one base model begin alike."""


def presets_beside(name: PresetName) -> list[PresetName]:
    """The presets of the same base model, this one included."""
    return [each for each in PRESETS if each.partition("_")[0] == name.partition("_")[0]]
