"""Groups of photos that are nearly the same: recompressed, resized, slightly cropped, brightened or mirrored.

Photos of one person that are nearly the same make a cluster, which a split into training and held-out photos must not
tear apart. If two people's galleries show the same picture, at least one of the labels is wrong.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bolid_pipeline.images.perceptual_hash import as_words
from bolid_pipeline.records import OF_ANOTHER_IDENTITY
from bolid_pipeline.stages.refresh import RefreshReport, sync_table
from bolid_pipeline.storage.tables import TableStore

# Bits of 256. Measured on 160 photos of one studio: unrelated photos differ in 78 or more; recompressed, resized and
# brightened ones in at most 6; 95 in 100 of those cropped by up to 5 % a side in at most 56.
SAME_PERSON_BITS = 56
SAME_PICTURE_BITS = 32
_SAME_PICTURE_FIRST_WORD_BITS = 16


def refresh_clusters(tables: TableStore, left_out: Collection[str] = ()) -> RefreshReport:
    """Bring `photo_clusters` up to date with `raw_photos` and `rejected_downloads`.

    Args:
        tables: the store that holds them.
        left_out: people whose photos make nobody else's doubtful, because nothing is trained on them.
    """
    columns = ["photo_id", "identity", "perceptual_hash", "mirrored_hash"]
    photos = tables.read("raw_photos", columns).to_pylist()
    doubts = tables.read("rejected_downloads", ["photo_id", "reason", "identity"]).to_pylist()
    shared = {
        row["photo_id"]
        for row in doubts
        if row["reason"] == OF_ANOTHER_IDENTITY and row["identity"] not in left_out
    }
    stored = tables.read("photo_clusters").to_pylist()
    # Comparing all pairs takes minutes for hundreds of thousands of photos, so a refresh that finds the same photos of
    # the same people skips it: the hashes of a photo never change.
    is_known = _people_of(stored) == _people_of(photos)
    cluster_of = {row["photo_id"]: row["cluster_id"] for row in stored} if is_known else _cluster_of(photos)
    return sync_table(tables, "photo_clusters", _rows(photos, cluster_of, shared, left_out))


def cluster(
    photos: Sequence[Mapping[str, Any]], shared: Collection[str], left_out: Collection[str] = ()
) -> list[dict[str, Any]]:
    """A row of `photo_clusters` for every photo.

    Args:
        photos: dicts with photo_id, identity, perceptual_hash and mirrored_hash.
        shared: ids of photos that another person's gallery shows too, byte for byte.
        left_out: people whose photos make nobody else's doubtful.

    Returns:
        cluster_id is the smallest photo_id of the cluster; is_shared is true for all photos of a cluster in
        which two people's photos are the same picture.
    """
    return _rows(photos, _cluster_of(photos), shared, left_out)


def _people_of(rows: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {(row["photo_id"], row["identity"]) for row in rows}


def _rows(
    photos: Sequence[Mapping[str, Any]],
    cluster_of: Mapping[str, str],
    shared: Collection[str],
    left_out: Collection[str],
) -> list[dict[str, Any]]:
    people: defaultdict[str, set[str]] = defaultdict(set)
    doubtful: set[str] = set()
    for photo in photos:
        if photo["identity"] not in left_out:
            group = cluster_of[photo["photo_id"]]
            people[group].add(photo["identity"])
            if photo["photo_id"] in shared:
                doubtful.add(group)
    doubtful |= {group for group, names in people.items() if len(names) > 1}
    return [
        {
            "photo_id": photo["photo_id"],
            "cluster_id": cluster_of[photo["photo_id"]],
            "is_shared": cluster_of[photo["photo_id"]] in doubtful,
            "identity": photo["identity"],
        }
        for photo in photos
    ]


def _cluster_of(photos: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Photo id -> the smallest photo id of its cluster."""
    if not photos:
        return {}
    first, second = _close_pairs(photos)
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(photos), len(photos)))
    _, labels = connected_components(graph, directed=False)
    members: defaultdict[int, list[str]] = defaultdict(list)
    for photo, label in zip(photos, labels.tolist(), strict=True):
        members[label].append(photo["photo_id"])
    return {photo_id: min(ids) for ids in members.values() for photo_id in ids}


def _close_pairs(photos: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
    """(2, P) row numbers of photos that are nearly the same, as they are or mirrored."""
    # Each photo is compared with all later ones, which is 1.5e8 pairs a second on one core.
    _, person = np.unique([photo["identity"] for photo in photos], return_inverse=True)
    order = np.argsort(person, kind="stable")
    person = person[order]
    plain = as_words([photos[row]["perceptual_hash"] for row in order])
    mirrored = as_words([photos[row]["mirrored_hash"] for row in order])
    first_words = plain[:, 0].copy()
    own_ends = np.searchsorted(person, person, side="right").tolist()
    pairs: list[NDArray[np.int64]] = []
    for row, own_end in enumerate(own_ends):
        for words in (plain[row], mirrored[row]):
            own = np.arange(row + 1, own_end)
            # One word of four, with half of the bits that may differ, rules nearly all others out.
            other = own_end + np.flatnonzero(
                np.bitwise_count(first_words[own_end:] ^ words[0]) <= _SAME_PICTURE_FIRST_WORD_BITS
            )
            for rows, limit in ((own, SAME_PERSON_BITS), (other, SAME_PICTURE_BITS)):
                close = rows[np.bitwise_count(plain[rows] ^ words).sum(axis=1) <= limit]
                pairs.append(np.stack([np.full_like(close, row), close]))
    return order[np.concatenate(pairs, axis=1)]
