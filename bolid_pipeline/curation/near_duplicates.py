"""Groups of photos that are nearly the same: recompressed, resized, slightly cropped, brightened or mirrored.

Photos of one person that are nearly the same make a cluster, which a split into training and held-out photos must not
tear apart. If two people's galleries show the same picture, at least one of the labels is wrong.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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


def refresh_clusters(tables: TableStore) -> RefreshReport:
    """Bring `photo_clusters` up to date with `raw_photos` and `rejected_downloads`."""
    photos = tables.read("raw_photos", ["photo_id", "identity", "perceptual_hash", "mirrored_hash"])
    rejected = tables.read("rejected_downloads", ["photo_id", "reason"])
    doubtful = rejected.filter(pc.field("reason") == OF_ANOTHER_IDENTITY)
    shared = set(doubtful["photo_id"].to_pylist()) & set(photos["photo_id"].to_pylist())
    stored = tables.read("photo_clusters")
    # Comparing all pairs takes minutes for hundreds of thousands of photos, so a refresh without news skips it: the
    # hashes of a photo never change, and two people's copies of a picture are only ever added.
    clusters = stored if _are_current(stored, photos, shared) else cluster(photos.to_pylist(), shared)
    return sync_table(tables, "photo_clusters", clusters)


def cluster(photos: Sequence[Mapping[str, Any]], shared: set[str]) -> list[dict[str, Any]]:
    """A row of `photo_clusters` for every photo.

    Args:
        photos: dicts with photo_id, identity, perceptual_hash and mirrored_hash.
        shared: ids of photos that another person's gallery shows too, byte for byte.

    Returns:
        cluster_id is the smallest photo_id of the cluster; is_shared is true for all photos of a cluster in
        which two people's photos are the same picture.
    """
    if not photos:
        return []
    first, second = _close_pairs(photos)
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(photos), len(photos)))
    _, labels = connected_components(graph, directed=False)
    members: dict[int, list[int]] = defaultdict(list)
    for row, label in enumerate(labels.tolist()):
        members[label].append(row)
    rows: list[dict[str, Any]] = []
    for group in members.values():
        ids = [photos[row]["photo_id"] for row in group]
        is_shared = len({photos[row]["identity"] for row in group}) > 1 or not shared.isdisjoint(ids)
        rows += [{"photo_id": id_, "cluster_id": min(ids), "is_shared": is_shared} for id_ in ids]
    return rows


def _are_current(clusters: pa.Table, photos: pa.Table, shared: set[str]) -> bool:
    """True if the clusters cover exactly these photos, and mark all that are shared."""
    known_shared = clusters.filter(pc.field("is_shared"))["photo_id"].to_pylist()
    same_photos = set(clusters["photo_id"].to_pylist()) == set(photos["photo_id"].to_pylist())
    return same_photos and shared.issubset(known_shared)


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
