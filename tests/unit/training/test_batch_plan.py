from collections import Counter

import numpy as np
import pytest

from bolid_pipeline.errors import NotEnoughData
from bolid_pipeline.training.batch_plan import PADDING, BatchSampler, split_rows

# Anna has 2 photos, Bob 12, Cleo a single one; buckets a and b.
IDENTITIES = ["anna"] * 2 + ["bob"] * 12 + ["cleo"]
BUCKETS = ["a", "b"] + ["a"] * 8 + ["b"] * 4 + ["b"]


def _sampler(seed: int = 0, batch_size: int = 16, max_views: int = 4) -> BatchSampler:
    rows = range(len(IDENTITIES))
    return BatchSampler(IDENTITIES, BUCKETS, rows, batch_size=batch_size, max_views=max_views, seed=seed)


def test_reference_and_views_are_other_photos_of_the_same_person():
    for step in range(50):
        plan = _sampler().plan(step)
        for target, reference, views in zip(plan.target_B, plan.reference_B, plan.view_BN, strict=True):
            shown = [reference, *(view for view in views if view != PADDING)]
            assert {IDENTITIES[row] for row in shown} == {IDENTITIES[target]}
            if IDENTITIES[target] != "cleo":
                assert target not in shown


def test_a_person_with_one_photo_is_her_own_reference():
    plans = [_sampler().plan(step) for step in range(50)]
    references = {
        r for plan in plans for t, r in zip(plan.target_B, plan.reference_B, strict=True) if t == 14
    }
    assert references == {14}


def test_views_are_distinct_and_of_every_number():
    views = np.concatenate([_sampler().plan(step).view_BN for step in range(20)])
    counts = Counter((views != PADDING).sum(1).tolist())
    assert set(counts) == {1, 2, 3, 4}
    for row in views:
        real = row[row != PADDING]
        assert len(set(real.tolist())) == len(real)


def test_a_batch_holds_one_bucket_and_both_buckets_come():
    buckets = [{BUCKETS[row] for row in _sampler().plan(step).target_B} for step in range(20)]
    assert all(len(of_batch) == 1 for of_batch in buckets)
    assert set.union(*buckets) == {"a", "b"}


def test_every_person_is_drawn_equally_often():
    targets = np.concatenate([_sampler(batch_size=8).plan(step).target_B for step in range(1500)])
    shares = Counter(IDENTITIES[row] for row in targets)
    for person in ("anna", "bob", "cleo"):
        assert shares[person] / len(targets) == pytest.approx(1 / 3, abs=0.03)


def test_a_batch_depends_on_seed_and_step_alone():
    sampler = _sampler(seed=7)
    sampler.plan(0)
    assert np.array_equal(sampler.plan(5).view_BN, _sampler(seed=7).plan(5).view_BN)
    assert not np.array_equal(sampler.plan(5).target_B, sampler.plan(6).target_B)
    assert not np.array_equal(sampler.plan(5).target_B, _sampler(seed=8).plan(5).target_B)


def test_only_the_given_rows_are_drawn():
    sampler = BatchSampler(IDENTITIES, BUCKETS, [2, 3, 4, 5], batch_size=8, max_views=3, seed=0)
    plan = sampler.plan(0)
    assert set(plan.target_B) | set(plan.reference_B) | set(plan.view_BN.ravel()) <= {2, 3, 4, 5, PADDING}


def test_no_rows_is_an_error():
    with pytest.raises(NotEnoughData):
        BatchSampler([], [], [], batch_size=1, max_views=1, seed=0)


def test_the_same_share_of_everybody_is_held_out():
    photo_ids = [f"{i:02d}" for i in range(len(IDENTITIES))]
    train, heldout = split_rows(photo_ids, IDENTITIES, 0.25)
    assert Counter(IDENTITIES[row] for row in heldout) == {"bob": 3}
    assert sorted(train + heldout) == list(range(len(IDENTITIES)))


def test_two_photos_always_train():
    train, heldout = split_rows(["a", "b", "c"], ["anna"] * 3, 0.9)
    assert (len(train), len(heldout)) == (2, 1)


def test_the_split_does_not_depend_on_the_order_of_rows():
    photo_ids = [f"{i * 7 % 15:02d}" for i in range(15)]
    _, heldout = split_rows(photo_ids, IDENTITIES, 0.25)
    _, reversed_heldout = split_rows(photo_ids[::-1], IDENTITIES[::-1], 0.25)
    assert {photo_ids[row] for row in heldout} == {photo_ids[::-1][row] for row in reversed_heldout}
