"""What is compared: the plain IP-Adapter branch, and BoLID with one term of the objective after the other.

All see the same data. The long first part of the training is the same for every BoLID variant, L_diff alone; the terms
join in a second part, as many steps for each.
"""

from dataclasses import replace

from bolid_pipeline.training.config import LightningConfig, Term, TrainingConfig

WORDS, IP_ADAPTER, L_DIFF = "base model, told in words", "IP-Adapter, given a photo", "L_diff"
L_ID = "+ L_id Lightning"


def first_config(name: str, *, steps: int, seed: int) -> TrainingConfig:
    """Of the long first part of IP_ADAPTER or L_DIFF."""
    if name == IP_ADAPTER:
        return replace(_base(steps, seed), drop_ref=0.05, drop_body=0.999)
    return _base(steps, seed)


def second_configs(*, steps: int, seed: int) -> dict[str, TrainingConfig]:
    """Of the second part of every variant, each with the terms of those before it.

    The gradient of the Lightning branch goes through all four steps of its sampler, but for one variant.
    """
    plain = replace(_base(steps, seed), learning_rate=1e-4)  # Adam takes L_id's noisy gradient at full length
    one_step = Term(weight=0.02, ramp_steps=20)
    branch = LightningConfig(
        every_n_steps=1,
        batch_size=8,
        gradient_steps=4,
        checkpointing=False,
        l_id=Term(weight=2.0, ramp_steps=20),
    )
    with_clip = replace(branch, l_clip=Term(weight=0.1))
    aligned = replace(with_clip, l_semantic=Term(weight=0.6), l_layout=Term(weight=0.1))
    return {
        IP_ADAPTER: replace(plain, drop_ref=0.05, drop_body=0.999),
        L_DIFF: plain,
        "+ L_id one-step": replace(plain, l_id=one_step),
        f"{L_ID}, through the last step": replace(plain, lightning=replace(branch, gradient_steps=1)),
        L_ID: replace(plain, lightning=branch),
        "+ L_id Lightning + L_CLIP": replace(plain, lightning=with_clip),
        "+ L_id Lightning + L_CLIP + alignment": replace(plain, lightning=aligned),
    }


def _base(steps: int, seed: int) -> TrainingConfig:
    """L_diff. The text says nothing of the body and the photo is mostly missing, so that c_body has to speak."""
    return TrainingConfig(
        steps=steps,
        batch_size=16,
        learning_rate=1e-3,
        warmup_steps=20,
        drop_text=0.1,
        drop_ref=0.9,
        drop_body=0.05,
        drop_all=0.0,
        background_weight=0.1,
        min_snr_gamma=None,
        max_views=6,
        num_body_tokens=8,
        encoder_width=128,
        ema_decay=0.99,
        pose_image_size_px=192,
        log_every_n_steps=10,
        checkpoint_every_n_steps=100,
        seed=seed,
    )
