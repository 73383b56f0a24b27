"""The choice of a batch's photos: balanced over people, one aspect bucket, other photos as reference and views.

Pure bookkeeping over row numbers. A batch depends on (seed, step) alone, so a resumed run sees the batches that an
uninterrupted one would have seen.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bolid_pipeline.errors import NotEnoughData
from bolid_pipeline.training.windows import GroupWindows

PADDING = -1
"""Row number in place of a missing view."""

Rows = NDArray[np.int64]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class BatchPlan:
    """Row numbers of one batch: B targets of one bucket, a reference and up to N views of the same person for each."""

    target_B: Rows
    reference_B: Rows
    view_BN: Rows

    def share(self, rank: int, num_processes: int) -> "BatchPlan":
        """The samples of one of several processes: rank, rank + num_processes, ..."""
        own = slice(rank, None, num_processes)
        return BatchPlan(self.target_B[own], self.reference_B[own], self.view_BN[own])


def split_rows(
    photo_ids: Sequence[str],
    identities: Sequence[str],
    heldout_fraction: float,
    clusters: Sequence[str] | None = None,
) -> tuple[list[int], list[int]]:
    """Rows to train on and rows held out, the same share of each person's photos (rounded down, two always train).

    The photo id (a hash of the file) decides, so the choice does not depend on other people's rows of the table.
    Near duplicates (rows of one cluster) stay on one side.
    """
    clusters = photo_ids if clusters is None else clusters
    rows_of_person = _group(identities, range(len(identities)))
    train: list[int] = []
    heldout: list[int] = []
    for rows in rows_of_person.values():
        ordered = sorted(rows.tolist(), key=lambda row: (clusters[row], photo_ids[row]))
        num_heldout = max(0, min(int(heldout_fraction * len(ordered)), len(ordered) - 2))
        while num_heldout and clusters[ordered[num_heldout - 1]] == clusters[ordered[num_heldout]]:
            num_heldout -= 1
        heldout += ordered[:num_heldout]
        train += ordered[num_heldout:]
    return sorted(train), sorted(heldout)


class BatchSampler:
    """Plans batches over the rows of a latent table.

    Every person is drawn equally often, whatever their number of photos, and so is every photo of a person. The weight
    of a row is one over its person's number of photos. A bucket is drawn by the sum of its rows' weights, then a row
    of it by its own.

    Args:
        identities: person of each row of the table.
        buckets: bucket of each row; a batch holds one bucket.
        rows: the rows to draw from.
        batch_size: B.
        max_views: N; a sample gets 1 to N views.
        seed: seed of all batches.
        clusters: name of each row's group of near duplicates. A target's duplicates are neither its reference nor its
            views if the person has other photos. None: there are no known duplicates.
        groups: row group of each row of the table; None if all rows are in memory or mapped.
        num_groups_kept: row groups that are loaded at a time. Targets are drawn from these, and so are references and
            views if they hold other photos of the person.

    Raises:
        NotEnoughData: there are no rows.
    """

    def __init__(
        self,
        identities: Sequence[str],
        buckets: Sequence[Hashable] | NDArray[np.integer],
        rows: Sequence[int],
        *,
        batch_size: int,
        max_views: int,
        seed: int,
        clusters: Sequence[Hashable] | None = None,
        groups: Sequence[int] | None = None,
        num_groups_kept: int = 1,
    ) -> None:
        if not rows:
            raise NotEnoughData("there is no latent to train on: run the data set's stages first")
        self._identities = identities
        self._cluster_R = np.arange(len(identities)) if clusters is None else _numbers(clusters)
        self._bucket_R = _numbers(buckets)
        self._rows_of_person = _group(identities, rows)
        # Without row groups, all rows form one group, which is always loaded.
        self._group_R = np.zeros(len(identities), np.int64) if groups is None else np.array(groups)
        self._rows_of_group = _group(self._group_R.tolist(), rows)
        self._windows = GroupWindows(
            groups=sorted(self._rows_of_group),
            num_kept=num_groups_kept,
            # A row group stays in the window until each of its rows was drawn once on average.
            steps_per_group=max(1, round(len(rows) / len(self._rows_of_group) / batch_size)),
            seed=seed,
        )
        self._pool = lru_cache(maxsize=2)(self._make_pool)
        self._batch_size = batch_size
        self._max_views = max_views
        self._seed = seed

    def plan(self, step: int) -> BatchPlan:
        """The batch of a step."""
        rng = np.random.default_rng([self._seed, step])
        window = self._windows.at(step)
        pool = self._pool(window)
        bucket_shares = np.array([shares.sum() for _, shares in pool])
        rows, shares = pool[rng.choice(len(pool), p=bucket_shares / bucket_shares.sum())]
        target_B = rng.choice(rows, size=self._batch_size, p=shares / shares.sum())
        others = [self._other_rows(target, window) for target in target_B]
        reference_B = np.array([rng.choice(of_target) for of_target in others])
        view_BN = np.stack([self._draw_views(of_target, rng) for of_target in others])
        return BatchPlan(target_B, reference_B, view_BN)

    def _make_pool(self, window: frozenset[int]) -> list[tuple[Rows, NDArray[np.float64]]]:
        """The loaded rows of each bucket, and the weight of each row: one over the person's number of photos."""
        rows = np.sort(np.concatenate([self._rows_of_group[group] for group in window]))
        people = [self._identities[row] for row in map(int, rows)]
        shares = np.array([1 / len(self._rows_of_person[person]) for person in people])
        _, firsts = np.unique(self._bucket_R[rows], return_index=True)
        is_of_bucket = [self._bucket_R[rows] == self._bucket_R[rows[first]] for first in np.sort(firsts)]
        return [(rows[is_here], shares[is_here]) for is_here in is_of_bucket]

    def _draw_views(self, others: Rows, rng: np.random.Generator) -> Rows:
        num_views = int(rng.integers(1, self._max_views, endpoint=True))
        views = rng.permutation(others)[:num_views]
        return np.pad(views, (0, self._max_views - len(views)), constant_values=PADDING)

    def _other_rows(self, target: int, window: frozenset[int]) -> Rows:
        """The person's other photos, without the target's near duplicates; without others, the target itself.

        Photos in loaded row groups come first. Few people have photos on both sides of the window's edge.
        """
        of_person = self._rows_of_person[self._identities[target]]
        others = of_person[of_person != target]
        different = others[self._cluster_R[others] != self._cluster_R[target]]
        is_at_hand = [group in window for group in self._group_R[different].tolist()]
        at_hand = different[np.array(is_at_hand, bool)]
        choices = (at_hand, different, others, np.array([target]))
        return next(rows for rows in choices if len(rows))


def _group(keys: Sequence[Key], rows: Sequence[int]) -> dict[Key, Rows]:
    groups: dict[Key, list[int]] = defaultdict(list)
    for row in rows:
        groups[keys[row]].append(row)
    return {key: np.array(of_key) for key, of_key in groups.items()}


def _numbers(names: Sequence[Hashable] | NDArray[np.integer]) -> Rows:
    """A number for each name: equal ones for equal names, in the order in which they come."""
    number_of: dict[Hashable, int] = {}
    return np.array([number_of.setdefault(name, len(number_of)) for name in names])
