"""The variants that are compared: the plain IP-Adapter branch, and BoLID with one more term of the objective each.

All see the same data. The long first part of the training is the same for every BoLID variant, L_diff alone; the terms
join in a second part, as many steps for each.
"""

from dataclasses import replace

from bolid_pipeline.training.config import (
    BodyConfig,
    DiffusionConfig,
    DropoutConfig,
    FewStepConfig,
    IntervalsConfig,
    OptimizerConfig,
    Term,
    TrainingConfig,
)

WORDS, IP_ADAPTER, L_DIFF = "base model, told in words", "IP-Adapter, given a photo", "L_diff"
L_ID = "+ L_id few-step"
_PHOTO_ALONE = DropoutConfig(text=0.1, ref=0.05, body=0.999, all=0.0)


def first_config(name: str, *, steps: int, seed: int) -> TrainingConfig:
    """Settings of the long first part of IP_ADAPTER or L_DIFF."""
    if name == IP_ADAPTER:
        return replace(_base(steps, seed), dropout=_PHOTO_ALONE)
    return _base(steps, seed)


def second_configs(*, steps: int, seed: int) -> dict[str, TrainingConfig]:
    """Settings of the second part of every variant, each with the terms of those before it.

    The gradient of the few-step half goes through all four steps of its sampler, in all variants but one.
    """
    base = _base(steps, seed)
    # Adam takes L_id's noisy gradient at full length, hence the smaller learning rate.
    plain = replace(base, optimizer=replace(base.optimizer, learning_rate=1e-4))
    one_step = Term(weight=0.02, ramp_steps=20)
    few_step = FewStepConfig(
        every_n_steps=1,
        batch_size=8,
        gradient_steps=4,
        checkpointing=False,
        l_id=Term(weight=2.0, ramp_steps=20),
    )
    with_clip = replace(few_step, l_clip=Term(weight=0.1))
    aligned = replace(with_clip, l_semantic=Term(weight=0.6), l_layout=Term(weight=0.1))
    return {
        IP_ADAPTER: replace(plain, dropout=_PHOTO_ALONE),
        L_DIFF: plain,
        "+ L_id one-step": replace(plain, diffusion=replace(plain.diffusion, l_id=one_step)),
        f"{L_ID}, through the last step": replace(plain, few_step=replace(few_step, gradient_steps=1)),
        L_ID: replace(plain, few_step=few_step),
        f"{L_ID} + L_CLIP": replace(plain, few_step=with_clip),
        f"{L_ID} + L_CLIP + alignment": replace(plain, few_step=aligned),
    }


def _base(steps: int, seed: int) -> TrainingConfig:
    """L_diff. The text says nothing of the body and the photo is mostly missing, so that only c_body gives the body."""
    return TrainingConfig(
        steps=steps,
        batch_size=16,
        seed=seed,
        pose_image_size_px=192,
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=20, ema_decay=0.99),
        dropout=DropoutConfig(text=0.1, ref=0.9, body=0.05, all=0.0),
        diffusion=DiffusionConfig(background_weight=0.1, min_snr_gamma=None),
        body=BodyConfig(max_views=6, num_tokens=8, width=128),
        intervals=IntervalsConfig(log=10, checkpoint=100),
    )
