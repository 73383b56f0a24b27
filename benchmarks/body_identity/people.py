"""Pictures of bodyworld people at the base model's own sizes, with what is true of them, kept in one file.

Shape suffixes: N pictures, H height, W width, K keypoints.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from bolid_pipeline.bodyworld.captions import caption
from bolid_pipeline.bodyworld.identity import BodyIdentity
from bolid_pipeline.bodyworld.renderer import render_thumbnail
from bolid_pipeline.bodyworld.scene import sample_scene
from bolid_pipeline.bodyworld.world import WorldConfig, draw_identities

SIZES_HW = ((80, 48), (64, 64), (48, 80))
_SIZE_SHARES = (0.6, 0.3, 0.1)


@dataclass(frozen=True)
class Picture:
    """One rendered photo: (H, W, 3) uint8, keypoints (17, 3) in px with visibility 0 or 1, its true caption."""

    person: str
    pixels_HW3: NDArray[np.uint8]
    keypoints_K3: NDArray[np.float32]
    caption: str


@dataclass(frozen=True)
class People:
    """Pictures of people who are told apart by nothing but their bodies, and each one's true parameters."""

    pictures: list[Picture]
    bodies: dict[str, NDArray[np.float32]]


def render_people(path: Path, *, seed: int, num_people: int, pictures_each: int, num_workers: int) -> People:
    """The pictures of a world's people; read from `path` where they lie there already.

    Args:
        path: an `.npz` file.
        seed: of the world; its people are those that bodyworld draws for this seed.
        num_people: in the world.
        pictures_each: of every person, in scenes of every kind.
        num_workers: processes that render.
    """
    if not path.exists():
        identities = draw_identities(WorldConfig(seed=seed, num_identities=num_people))
        render = partial(_render_person, seed=seed, pictures_each=pictures_each)
        with ProcessPoolExecutor(num_workers, get_context("spawn")) as pool:
            rendered = pool.map(render, range(num_people), [identity for _, _, identity in identities])
            of_person = list(tqdm(rendered, total=num_people, desc=f"people of {path.stem}", unit="person"))
        pictures = [
            Picture(slug, *picture)
            for (slug, _, _), drawn in zip(identities, of_person, strict=True)
            for picture in drawn
        ]
        _write(path, People(pictures, {slug: identity.vector() for slug, _, identity in identities}))
    return _read(path)


def _render_person(
    number: int, identity: BodyIdentity, *, seed: int, pictures_each: int
) -> list[tuple[NDArray[np.uint8], NDArray[np.float32], str]]:
    cv2.setNumThreads(1)
    rng = np.random.default_rng((seed, 5, number))
    return list(_pictures(identity, pictures_each, rng))


def _pictures(
    identity: BodyIdentity, count: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32], str]]:
    for _ in range(count):
        height, width = SIZES_HW[rng.choice(len(SIZES_HW), p=_SIZE_SHARES)]
        scene = sample_scene(rng, sex=identity.sex)
        photo = render_thumbnail([(identity, scene)], height, width, rng)
        yield photo.image, photo.keypoints, caption(identity, scene)


def _write(path: Path, people: People) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f".{path.name}")
    with partial_path.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            pixels=np.concatenate([picture.pixels_HW3.ravel() for picture in people.pictures]),
            shapes=np.array([picture.pixels_HW3.shape for picture in people.pictures]),
            keypoints=np.stack([picture.keypoints_K3 for picture in people.pictures]),
            facts=np.array(json.dumps([(picture.person, picture.caption) for picture in people.pictures])),
            names=np.array(list(people.bodies)),
            bodies=np.stack(list(people.bodies.values())),
        )
    partial_path.replace(path)


def _read(path: Path) -> People:
    with np.load(path) as arrays:
        facts: Sequence[tuple[str, str]] = json.loads(str(arrays["facts"]))
        ends = arrays["shapes"].prod(axis=1).cumsum()[:-1]
        flat = np.split(arrays["pixels"], ends)
        pictures = [
            Picture(person, pixels.reshape(shape), keypoints, text)
            for (person, text), pixels, shape, keypoints in zip(
                facts, flat, arrays["shapes"], arrays["keypoints"], strict=True
            )
        ]
        bodies = dict(zip(arrays["names"].tolist(), arrays["bodies"], strict=True))
    return People(pictures, bodies)
