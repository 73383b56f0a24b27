"""Settings of a training by name: the demo's, those of the two published base models, and a tiny one for tests."""

from dataclasses import replace

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


def sd15() -> TrainingConfig:
    """Stable Diffusion 1.5 at 512 px on one large GPU: the thesis' dropout, the whole objective.

    The few-step half starts when the bodies can be seen; its sampler works with any base model. The gradient flows
    through the last sampler step: all four cost more and did no better (docs/benchmarks.md, "Body identity").
    """
    return TrainingConfig(
        steps=50_000,
        batch_size=32,
        num_caption_variants=2,
        optimizer=OptimizerConfig(warmup_steps=1000),
        diffusion=DiffusionConfig(l_id=Term(weight=0.01, start_step=2000, ramp_steps=2000)),
        few_step=_sd15_few_step(batch_size=4),
        prior=PriorConfig(steps=20_000, width=512),
        hardware=HardwareConfig(gradient_checkpointing=True),
        intervals=IntervalsConfig(log=50, preview=1000),
    )


def sdxl() -> TrainingConfig:
    """Stable Diffusion XL at 1024 px: as SD 1.5, but a quarter of the batch, as latents are four times as large."""
    return replace(sd15(), batch_size=8, body=BodyConfig(grid=32), few_step=_sd15_few_step(batch_size=1))


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


def _sd15_few_step(batch_size: int) -> FewStepConfig:
    return FewStepConfig(
        every_n_steps=4,
        batch_size=batch_size,
        l_id=Term(weight=0.5, start_step=5000, ramp_steps=5000),
        l_clip=Term(weight=0.1, start_step=5000, ramp_steps=5000),
        l_semantic=Term(weight=0.6, start_step=5000),
        l_layout=Term(weight=0.1, start_step=5000),
    )
