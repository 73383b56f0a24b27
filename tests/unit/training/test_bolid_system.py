from dataclasses import replace
from pathlib import Path

import pytest
import torch
from random_latents import random_latents
from tiny_models import save_tiny_sdxl
from tiny_training import make_training, random_data

from bolid_pipeline.errors import ForeignLatents, NotEnoughData
from bolid_pipeline.models import adapters
from bolid_pipeline.training.condition_dropout import draw_kept_conditions
from bolid_pipeline.training.config import DropoutConfig, Loss, OptimizerConfig, TrainingConfig
from bolid_pipeline.training.datamodule import BoLIDDataModule, caption_variants
from bolid_pipeline.training.presets import tiny
from bolid_pipeline.training.randomness import StepRandomness
from bolid_pipeline.training.system import BoLIDSystem


def _make(base_model: Path, config: TrainingConfig | None = None) -> tuple[BoLIDSystem, BoLIDDataModule]:
    return make_training(random_data(base_model), config)


def _loss(system: BoLIDSystem, data: BoLIDDataModule, step: int = 0) -> torch.Tensor:
    terms = system.diffusion.terms(data.batch(step), StepRandomness(0, step))
    return terms[Loss.L_DIFF] + system.config.diffusion.kl.weight * terms[Loss.KL]


def test_every_trainable_gets_a_gradient_and_nothing_frozen_moves(tiny_stable_diffusion):
    system, data = _make(tiny_stable_diffusion)
    trainable = system.trainable_parameters()
    frozen = [p for p in system.parameters() if not any(p is t for t in trainable)]
    before = [parameter.clone() for parameter in frozen]
    assert not any(parameter.requires_grad for parameter in frozen)

    optimizer = torch.optim.AdamW(trainable, lr=0.1)
    _loss(system, data).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() and p.grad.any() for p in trainable)
    optimizer.step()

    assert all(torch.equal(old, new) for old, new in zip(before, frozen, strict=True))


@pytest.mark.parametrize("drop_text", [0.0, 0.999])
@pytest.mark.parametrize("drop_ref", [0.0, 0.999])
@pytest.mark.parametrize("drop_body", [0.0, 0.999])
def test_every_subset_of_conditions_trains(tiny_stable_diffusion, drop_text, drop_ref, drop_body):
    dropout = DropoutConfig(text=drop_text, ref=drop_ref, body=drop_body, all=0.0)
    system, data = _make(tiny_stable_diffusion, replace(tiny(), dropout=dropout))
    loss = _loss(system, data)
    loss.backward()
    assert torch.isfinite(loss)
    ref_projection, body_projection = (
        next(projection.parameters()).grad.any()
        for projection in system.branches.unet.encoder_hid_proj.image_projection_layers
    )
    assert ref_projection == (drop_ref == 0)
    assert body_projection == (drop_body == 0)


def test_conditions_are_dropped_independently_at_their_rates():
    config = DropoutConfig(text=0.1, ref=0.2, body=0.3, all=0.05)
    kept = draw_kept_conditions(20_000, config, StepRandomness(0, 0))
    for kept_B, rate in ((kept.text_B, 0.1), (kept.ref_B, 0.2), (kept.body_B, 0.3)):
        assert (~kept_B).float().mean().item() == pytest.approx(0.05 + 0.95 * rate, abs=0.015)
    bare = ~(kept.text_B | kept.ref_B | kept.body_B)
    assert bare.float().mean().item() == pytest.approx(0.05 + 0.95 * 0.006, abs=0.01)
    subsets = torch.stack([kept.text_B, kept.ref_B, kept.body_B], 1).unique(dim=0)
    assert len(subsets) == 8


def test_the_same_seed_gives_the_same_run(tiny_stable_diffusion):
    losses = [_loss(*_make(tiny_stable_diffusion)).item() for _ in range(2)]
    other = _loss(*_make(tiny_stable_diffusion, replace(tiny(), seed=1))).item()
    assert losses[0] == losses[1] != other


def test_held_out_photos_are_never_shown(tiny_stable_diffusion):
    _, data = _make(tiny_stable_diffusion)
    assert len(data.heldout_rows) == 3
    for step in range(20):
        plan = data._sampler.plan(step)
        shown = {*plan.target_B.tolist(), *plan.reference_B.tolist(), *plan.view_BN.ravel().tolist()}
        assert not shown & set(data.heldout_rows)


def test_shortened_captions_are_parts_of_the_whole_one():
    caption = "a photo of a tall woman, facing left, walking, in a forest"
    variants = caption_variants(caption, 6, seed="photo")
    assert variants == caption_variants(caption, 6, seed="photo")
    assert variants[0] == caption
    assert len(set(variants)) > 3
    for variant in variants:
        assert [part for part in caption.split(", ") if part in variant.split(", ")] == (
            variant.split(", ") if variant else []
        )


def test_near_duplicates_stay_on_one_side_and_are_never_shown_for_each_other(tiny_stable_diffusion):
    latents = random_latents()
    ids = latents.photo_ids
    clusters = {ids[0]: ids[0], ids[1]: ids[0], ids[2]: ids[0]}
    _, data = make_training(random_data(tiny_stable_diffusion, latents, clusters=clusters))
    assert len({row in data.train_rows for row in range(3)}) == 1
    for step in range(20):
        plan = data._sampler.plan(step)
        for target, reference, views in zip(plan.target_B, plan.reference_B, plan.view_BN, strict=True):
            if target < 3:
                assert not {reference, *views.tolist()} & {0, 1, 2}


def test_captions_of_any_length_share_a_batch(tiny_stable_diffusion):
    data = random_data(tiny_stable_diffusion)
    captions = {**data.captions, data.latents.photo_ids[0]: "x" * 100}
    _, batches = make_training(replace(data, captions=captions), replace(tiny(), batch_size=16))
    assert max(batches.batch(step)["token_ids_BEWT"].shape[2] for step in range(5)) == 2


@pytest.mark.parametrize(
    ("latents", "what"),
    [({"channels": 3}, "latent channels"), ({"image_embed_dim": 5}, "image embedding is 5")],
)
def test_latents_of_another_model_are_refused(tiny_stable_diffusion, latents, what):
    foreign = random_latents(**latents)
    with pytest.raises(ForeignLatents, match=what):
        make_training(random_data(tiny_stable_diffusion, foreign))


def test_latents_without_a_caption_are_refused(tiny_stable_diffusion):
    data = random_data(tiny_stable_diffusion)
    missing = data.latents.photo_ids[3]
    captions = {photo_id: caption for photo_id, caption in data.captions.items() if photo_id != missing}
    with pytest.raises(NotEnoughData, match=missing):
        make_training(replace(data, captions=captions))


def test_an_empty_table_is_refused(tiny_stable_diffusion):
    with pytest.raises(NotEnoughData, match="empty"):
        make_training(random_data(tiny_stable_diffusion, random_latents(0, 0)))


def test_the_running_mean_follows_and_replaces_the_weights(tiny_stable_diffusion):
    system, _ = _make(tiny_stable_diffusion, replace(tiny(), optimizer=OptimizerConfig(ema_decay=0.5)))
    start = [parameter.detach().clone() for parameter in system.trainable_parameters()]
    for _ in range(3):
        for parameter in system.trainable_parameters():
            parameter.data += 1
        system.ema.step(system.trainable_parameters())
    system.use_mean_weights()
    for old, new in zip(start, system.trainable_parameters(), strict=True):
        assert 1 < (new - old).mean() < 3
    assert adapters.is_attached(system.branches.unet)


def test_sdxl_trains(tmp_path):
    """Two text encoders, pooled text and sizes: gradients everywhere, with and without text."""
    base_model = save_tiny_sdxl(tmp_path / "sdxl")
    for drop_text in (0.0, 0.999):
        dropout = replace(tiny().dropout, text=drop_text)
        system, data = _make(base_model, replace(tiny(), dropout=dropout))
        assert data.batch(0)["token_ids_BEWT"].shape[1] == 2
        _loss(system, data).backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in system.trainable_parameters())
