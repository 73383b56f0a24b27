"""Pictures of bodyworld people at the base model's own sizes, with their ground truth, kept in one file.

Shape suffixes: N pictures, H height, W width, K keypoints.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from bodyworld.render.identity import BodyIdentity
from bodyworld.render.renderer import render_thumbnail
from bodyworld.render.scene import Scene, sample_scene
from bodyworld.world.captions import caption, caption_slots, compose_caption

SIZES_HW = ((80, 48), (64, 64), (48, 80))
_SIZE_SHARES = (0.6, 0.3, 0.1)


@dataclass(frozen=True)
class Picture:
    """One rendered photo: (H, W, 3) uint8, keypoints (17, 3) in px with visibility 0 or 1, what is said of it.

    The caption tells the scene and whether it is a woman or a man, but nothing of hair, height and build: what stays
    the same from photo to photo is left for the identity to say, as one captions for DreamBooth.
    """

    person: str
    pixels_HW3: NDArray[np.uint8]
    keypoints_K3: NDArray[np.float32]
    caption: str


@dataclass(frozen=True)
class People:
    """Pictures of people who are told apart by nothing but their bodies, and each one's true parameters."""

    pictures: list[Picture]
    bodies: dict[str, NDArray[np.float32]]


def render_people(
    path: Path, identities: Mapping[str, BodyIdentity], *, seed: int, pictures_each: int, num_workers: int
) -> People:
    """The pictures of people; read from `path` if they are already there.

    Args:
        path: an `.npz` file.
        identities: the people by their names.
        seed: seed of the scenes.
        pictures_each: number of pictures of every person, in scenes of every kind.
        num_workers: processes that render.
    """
    if not path.exists():
        render = partial(_render_person, seed=seed, pictures_each=pictures_each)
        with ProcessPoolExecutor(num_workers, get_context("spawn")) as pool:
            rendered = pool.map(render, range(len(identities)), identities.values(), chunksize=8)
            of_person = list(
                tqdm(rendered, total=len(identities), desc=f"people of {path.stem}", unit="person")
            )
        pictures = [
            Picture(name, *picture)
            for name, drawn in zip(identities, of_person, strict=True)
            for picture in drawn
        ]
        _write(path, People(pictures, {name: identity.vector() for name, identity in identities.items()}))
    return _read(path)


def person_words(identity: BodyIdentity) -> str:
    """A person in the words of a caption: "tall slim woman with long black hair"."""
    who = caption(identity, Scene()).split(", ")[0].split(" of ")[1]
    return who.split(" ", 1)[1]  # without its article


def scene_caption(identity: BodyIdentity, scene: Scene) -> str:
    """The caption without a word about the body but its sex."""
    slots = caption_slots(identity, scene) | {"height": "medium-height", "build": "average"}
    return compose_caption(slots).replace(f" with {slots['hair']}", "", 1)


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
        yield photo.image, photo.keypoints, scene_caption(identity, scene)


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
