from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from bolid_pipeline.training.batch_plan import PADDING, BatchSampler
from bolid_pipeline.training.windows import GroupWindows


def windows(seed=0, num_kept=3):
    return GroupWindows(groups=range(10), num_kept=num_kept, steps_per_group=5, seed=seed)


def test_every_epoch_shows_each_group_once_in_an_order_of_its_own():
    shown = windows(num_kept=1)
    epochs = [[min(shown.at(5 * (10 * epoch + place))) for place in range(10)] for epoch in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert epochs[0] != [min(windows(1, num_kept=1).at(5 * place)) for place in range(10)]


def test_one_group_comes_and_one_goes_at_a_time():
    shown = [windows().at(step) for step in range(200)]
    for before, after in pairwise(shown):
        assert len(after - before) <= 1
        assert len(before - after) <= 1
    assert max(map(len, shown)) == 3


def test_a_window_depends_on_seed_and_step_alone():
    used = windows()
    [used.at(step) for step in (400, 3, 77)]
    assert [used.at(step) for step in range(0, 300, 7)] == [windows().at(step) for step in range(0, 300, 7)]


# 12 people of 10 photos, in row groups of 15: every second person lies across two groups.
IDENTITIES = [f"person-{row // 10:02d}" for row in range(120)]
GROUPS = [row // 15 for row in range(120)]


def sampler(num_groups_kept, groups=GROUPS):
    return BatchSampler(
        IDENTITIES,
        ["a"] * 120,
        range(120),
        batch_size=5,
        max_views=3,
        seed=0,
        groups=groups,
        num_groups_kept=num_groups_kept,
    )


def test_targets_lie_in_the_few_groups_at_hand_and_all_are_drawn_in_time():
    drawn = Counter[int]()
    plans = [sampler(2).plan(step) for step in range(24 * 20)]
    for plan in plans:
        assert len({GROUPS[row] for row in plan.target_B}) <= 2
        drawn.update(plan.target_B.tolist())
    assert set(drawn) == set(range(120))
    shares = Counter(IDENTITIES[row] for plan in plans for row in plan.target_B)
    for person in set(IDENTITIES):
        assert shares[person] / shares.total() == pytest.approx(1 / 12, abs=0.03)


def test_views_are_at_hand_too_but_never_the_target_itself():
    num_far = num_views = 0
    for step in range(200):
        plan = sampler(2).plan(step)
        at_hand = sampler(2)._windows.at(step)
        for target, reference, views in zip(plan.target_B, plan.reference_B, plan.view_BN, strict=True):
            shown = [reference, *(view for view in views if view != PADDING)]
            assert target not in shown
            assert {IDENTITIES[row] for row in shown} == {IDENTITIES[target]}
            num_views += len(shown)
            num_far += sum(GROUPS[row] not in at_hand for row in shown)
    assert num_far == 0 < num_views


def test_with_room_for_all_groups_nothing_changes():
    for step in range(50):
        with_groups, without = sampler(8).plan(step), sampler(1, groups=None).plan(step)
        assert np.array_equal(with_groups.target_B, without.target_B)
        assert np.array_equal(with_groups.view_BN, without.view_BN)
