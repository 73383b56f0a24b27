"""Render the small training pictures of CLIP and base model.

    python -m bodyworld.pretrain.thumbnails --out data/pretrain/thumbnails

Shape suffixes: N pictures, H height, W width, K keypoints, D identity parameters.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from bodyworld.render.identity import sample_identity
from bodyworld.render.renderer import render_thumbnail
from bodyworld.render.scene import sample_scene
from bodyworld.world.captions import caption_slots
from bolid_pipeline.errors import NotEnoughData

PRETRAIN_SEED = 20_000
BUCKETS = ((80, 48), (64, 64), (48, 80))
BUCKET_SHARES = (0.5, 0.35, 0.15)
IDENTITIES_PER_SHARD = 100
SCENES_PER_IDENTITY = 2
Shard = dict[str, NDArray[Any]]


class _Row(NamedTuple):
    pixels_HW3: NDArray[np.uint8]
    keypoints_K3: NDArray[np.float32]
    identity_D: NDArray[np.float32]
    slots: dict[str, str]


@dataclass(frozen=True)
class Thumbnails:
    """All pictures of one aspect bucket."""

    pixels_NHW3: NDArray[np.uint8]
    """RGB."""
    keypoints_NK3: NDArray[np.float32]
    """x and y as fractions of the picture, visibility 0 or 1."""
    identities_ND: NDArray[np.float32]
    """`BodyIdentity.vector` of the person, in [0, 1]."""
    slots: list[dict[str, str]]
    """The phrases of the caption."""

    def __len__(self) -> int:
        return len(self.pixels_NHW3)

    def split(self, num_held_out: int) -> "tuple[Thumbnails, Thumbnails]":
        """The first pictures, to train on, and the last `num_held_out`."""
        return self[: len(self) - num_held_out], self[len(self) - num_held_out :]

    def __getitem__(self, part: slice) -> "Thumbnails":
        return Thumbnails(
            self.pixels_NHW3[part], self.keypoints_NK3[part], self.identities_ND[part], self.slots[part]
        )


def open_thumbnails(folder: Path) -> dict[tuple[int, int], Thumbnails]:
    """The pictures of every finished shard of a folder, by (height, width) of their bucket.

    Raises:
        NotEnoughData: the folder holds no shard.
    """
    shards = [_read(path) for path in sorted(folder.glob("shard_*.npz"))]
    if not shards:
        raise NotEnoughData(f"no thumbnails in {folder}: bodyworld.pretrain.thumbnails makes them")
    return {bucket: _gather(shards, _key(bucket)) for bucket in BUCKETS}


def _read(path: Path) -> Shard:
    with np.load(path) as arrays:
        return dict(arrays)


def _gather(shards: Sequence[Shard], key: str) -> Thumbnails:
    return Thumbnails(
        np.concatenate([shard[f"{key}_pixels"] for shard in shards]),
        np.concatenate([shard[f"{key}_keypoints"] for shard in shards]),
        np.concatenate([shard[f"{key}_identities"] for shard in shards]),
        [slots for shard in shards for slots in json.loads(str(shard[f"{key}_slots"]))],
    )


def _key(bucket: tuple[int, int]) -> str:
    return f"{bucket[0]}x{bucket[1]}"


def render_shard(shard: int, folder: Path, seed: int = PRETRAIN_SEED) -> Path:
    """Render `IDENTITIES_PER_SHARD` people into `shard_<number>.npz`, unless it is there."""
    path = folder / f"shard_{shard:05d}.npz"
    if path.exists():
        return path
    rows: dict[tuple[int, int], list[_Row]] = {bucket: [] for bucket in BUCKETS}
    for number in range(shard * IDENTITIES_PER_SHARD, (shard + 1) * IDENTITIES_PER_SHARD):
        for bucket, row in _render_person(np.random.default_rng(np.random.SeedSequence([seed, number]))):
            rows[bucket].append(row)
    arrays: Shard = {}
    for bucket in BUCKETS:
        pixels, keypoints, identities, slots = zip(*rows[bucket], strict=True)
        arrays[f"{_key(bucket)}_pixels"] = np.stack(pixels)
        arrays[f"{_key(bucket)}_keypoints"] = np.stack(keypoints)
        arrays[f"{_key(bucket)}_identities"] = np.stack(identities)
        arrays[f"{_key(bucket)}_slots"] = np.array(json.dumps(slots))
    partial_path = folder / f"part_{shard:05d}.npz"
    np.savez(partial_path, allow_pickle=False, **arrays)
    return partial_path.replace(path)


def _render_person(rng: np.random.Generator) -> Iterator[tuple[tuple[int, int], _Row]]:
    identity = sample_identity(rng)
    for _ in range(SCENES_PER_IDENTITY):
        bucket = BUCKETS[rng.choice(len(BUCKETS), p=BUCKET_SHARES)]
        scene = sample_scene(rng, sex=identity.sex)
        photo = render_thumbnail([(identity, scene)], *bucket, rng)
        keypoints = photo.keypoints / np.array([bucket[1], bucket[0], 1.0], np.float32)
        yield bucket, _Row(photo.image, keypoints, identity.vector(), caption_slots(identity, scene))


@click.command()
@click.option("--out", "folder", type=Path, default=Path("data/pretrain/thumbnails"), show_default=True)
@click.option("--num-identities", default=12_000, show_default=True, help="People, two pictures each.")
@click.option("--seed", default=PRETRAIN_SEED, show_default=True)
@click.option("--workers", default=2, show_default=True, help="Processes.")
def main(*, folder: Path, num_identities: int, seed: int, workers: int) -> None:
    """Render training pictures, in shards; finished ones are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = range(num_identities // IDENTITIES_PER_SHARD)
    with ProcessPoolExecutor(workers, initializer=partial(cv2.setNumThreads, 1)) as pool:
        rendered = pool.map(partial(render_shard, folder=folder, seed=seed), shards)
        list(tqdm(rendered, total=len(shards), unit="shard"))


if __name__ == "__main__":
    main()
