"""Render the training photos of the detectors, with their labels.

    python -m bodyworld.pretrain.photos --num-photos 8000

A set is a folder of parts, `part-000/000.jpg ...` with labels in `part-000.npz`. A second call adds what is missing.

Shape suffixes: N photos, P people (padded with nan), K keypoints, S side of a square.
"""

import io
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from bodyworld.render.identity import BodyIdentity, sample_identity
from bodyworld.render.renderer import render, render_place
from bodyworld.render.scene import BACKGROUNDS, CAMERAS, Scene, sample_scene
from bodyworld.world.defects import WATERMARK_KINDS, add_watermark
from bodyworld.world.photographs import PHOTO_SIZES, add_companions
from bolid_pipeline.errors import NotEnoughData
from bolid_pipeline.images.decoding import LETTERBOX_GREY, Rgb, decode_rgb, encode_jpeg
from bolid_pipeline.pose.skeleton import NUM_KEYPOINTS
from bolid_pipeline.storage.atomic import write_atomically

MAX_PEOPLE = 3
NUM_PEOPLE_RATES = (0.04, 0.72, 0.15, 0.09)
"""Shares of photos with 0, 1, 2 and 3 people: more groups than the world has, so that they are learned quickly."""
HIDDEN_FACE_RATE = 0.12
"""Share of people whose face cannot be seen: under a hat, behind a board, turned away."""
WATERMARK_RATE = 0.15
"""Share of photos with a watermark, so that the detectors learn to overlook it."""
WATERMARK_OPACITY = (0.25, 0.9)
LONG_SIDE_PX = 416
HIDDEN_WAYS: tuple[dict[str, str], ...] = ({"face_cover": "hat"}, {"face_cover": "board"}, {"facing": "away"})
CAMERA_RATES = (0.45, 0.2, 0.2, 0.15)
PHOTOS_PER_PART = 250
Target = Literal["person", "face"]
"""The thing that a box is drawn around."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class PhotoLabels:
    """Ground truth of N photos, in px of the stored photo. Rows beyond the last person or face are nan."""

    person_boxes_NP4: Floats
    face_boxes_NP4: Floats
    keypoints_NPK3: Floats
    """x_px, y_px, and 1.0 for visible, 0.0 for hidden."""
    has_watermark_N: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class LabelledPhoto:
    """A rendered photo with what is on it, in px."""

    image: Rgb
    person_boxes_P4: Floats
    face_boxes_F4: Floats
    keypoints_PK3: Floats
    has_watermark: bool = False


def sample_photo(rng: np.random.Generator, long_side_px: int = LONG_SIDE_PX) -> LabelledPhoto:
    """A photo of 0 to 3 people of random shape, dress, pose and place, in one of the world's aspect ratios."""
    size_hw = PHOTO_SIZES[int(rng.integers(len(PHOTO_SIZES)))]
    height, width = (round(side * long_side_px / max(size_hw)) for side in size_hw)
    num_people = int(rng.choice(len(NUM_PEOPLE_RATES), p=NUM_PEOPLE_RATES))
    photo = (
        _photograph(_sample_people(rng, num_people), height, width, rng)
        if num_people
        else _photograph_place(height, width, rng)
    )
    if rng.random() >= WATERMARK_RATE:
        return photo
    kind, opacity = str(rng.choice(WATERMARK_KINDS)), float(rng.uniform(*WATERMARK_OPACITY))
    return replace(photo, image=add_watermark(photo.image, kind, opacity, rng), has_watermark=True)


def _photograph_place(height: int, width: int, rng: np.random.Generator) -> LabelledPhoto:
    return LabelledPhoto(
        image=render_place(str(rng.choice(BACKGROUNDS)), height, width, int(rng.integers(2**31)), rng),
        person_boxes_P4=np.zeros((0, 4), np.float32),
        face_boxes_F4=np.zeros((0, 4), np.float32),
        keypoints_PK3=np.zeros((0, NUM_KEYPOINTS, 3), np.float32),
    )


def _photograph(
    people: list[tuple[BodyIdentity, Scene]], height: int, width: int, rng: np.random.Generator
) -> LabelledPhoto:
    """A photo of these people; people who are almost completely hidden get no label."""
    rendering = render(people, height, width, rng)
    is_seen = (rendering.person_boxes[:, 2:] - rendering.person_boxes[:, :2]).min(1) > 0.02 * max(
        height, width
    )
    return LabelledPhoto(
        image=rendering.image,
        person_boxes_P4=rendering.person_boxes[is_seen],
        face_boxes_F4=rendering.face_boxes,
        keypoints_PK3=rendering.all_keypoints[is_seen],
    )


def _sample_people(rng: np.random.Generator, num_people: int) -> list[tuple[BodyIdentity, Scene]]:
    """This many people; half of the groups stand as in the world, the others in any pose, facing anywhere."""
    camera = str(rng.choice(CAMERAS, p=CAMERA_RATES))
    people: list[tuple[BodyIdentity, Scene]] = []
    for _ in range(num_people):
        identity = sample_identity(rng)
        hidden = HIDDEN_WAYS[int(rng.integers(len(HIDDEN_WAYS)))] if rng.random() < HIDDEN_FACE_RATE else {}
        people.append((identity, sample_scene(rng, sex=identity.sex, camera=camera, **hidden)))
    if num_people > 1 and rng.random() < 0.5:
        return add_companions(*people[0], num_people, bool(rng.random() < 1 / 3), rng)
    return people


def render_part(part: int, photos_dir: Path, seed: int) -> None:
    """Render one part of a set, unless its labels are there, which are written last."""
    labels_path = photos_dir / f"part-{part:03d}.npz"
    if labels_path.exists():
        return
    cv2.setNumThreads(1)
    folder = labels_path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    photos: list[LabelledPhoto] = []
    for number in range(PHOTOS_PER_PART):
        rng = np.random.default_rng((seed, part, number))
        photos.append(sample_photo(rng))
        (folder / f"{number:03d}.jpg").write_bytes(encode_jpeg(photos[-1].image, int(rng.integers(70, 96))))
    buffer = io.BytesIO()
    np.savez(
        buffer,
        person_boxes=np.stack([_padded(photo.person_boxes_P4) for photo in photos]),
        face_boxes=np.stack([_padded(photo.face_boxes_F4) for photo in photos]),
        keypoints=np.stack([_padded(photo.keypoints_PK3) for photo in photos]),
        has_watermark=np.array([photo.has_watermark for photo in photos]),
    )
    write_atomically(labels_path, buffer.getvalue())


def _padded(rows: Floats) -> Floats:
    """(P, ...) rows as (MAX_PEOPLE, ...), filled up with nan."""
    result = np.full((MAX_PEOPLE, *rows.shape[1:]), np.nan, np.float32)
    result[: len(rows)] = rows
    return result


class LetterboxedPhotos:
    """A set of photos, each fitted into a grey square (aspect kept), with boxes and keypoints in px of the square.

    The squares are made once and kept as an array beside the photos.
    """

    def __init__(self, photos_dir: Path, size_px: int = 256) -> None:
        self.size_px = size_px
        self.labels = read_labels(photos_dir)
        self._paths = photo_paths(photos_dir)
        self._squares, self._fits = _load_squares(photos_dir / f"letterboxed_{size_px}", self._paths, size_px)

    def __len__(self) -> int:
        return len(self._paths)

    def example(self, index: int, target: Target) -> tuple[Rgb, Floats, Floats]:
        """A photo (S, S, 3), the boxes (P, 4) of its persons or faces, and the keypoints (P, K, 3) of its persons.

        For faces the keypoints have no meaning, as they are in the order of the person boxes.
        """
        boxes = self.labels.person_boxes_NP4 if target == "person" else self.labels.face_boxes_NP4
        is_there = ~np.isnan(boxes[index, :, 0])
        scale, left, top = self._fits[index]
        corners = boxes[index][is_there].reshape(-1, 2, 2) * scale + np.array([left, top], np.float32)
        keypoints = self.labels.keypoints_NPK3[index][is_there].copy()
        keypoints[..., :2] = keypoints[..., :2] * scale + np.array([left, top], np.float32)
        return np.array(self._squares[index]), corners.reshape(-1, 4), keypoints


def photo_paths(photos_dir: Path) -> list[Path]:
    """Every photo of a set, in order.

    Raises:
        NotEnoughData: the folder holds no photo.
    """
    paths = [path for part in _parts(photos_dir) for path in sorted(part.with_suffix("").glob("*.jpg"))]
    if not paths:
        raise NotEnoughData(f"no photos in {photos_dir}: render some with bodyworld.pretrain.photos")
    return paths


def read_labels(photos_dir: Path) -> PhotoLabels:
    """Labels of every photo of a set, in the order of `photo_paths`."""
    parts = [np.load(part) for part in _parts(photos_dir)]
    return PhotoLabels(
        person_boxes_NP4=np.concatenate([part["person_boxes"] for part in parts]),
        face_boxes_NP4=np.concatenate([part["face_boxes"] for part in parts]),
        keypoints_NPK3=np.concatenate([part["keypoints"] for part in parts]),
        has_watermark_N=np.concatenate([part["has_watermark"] for part in parts]),
    )


def _parts(photos_dir: Path) -> list[Path]:
    return sorted(photos_dir.glob("part-*.npz"))


def letterbox(image: Rgb, size_px: int) -> tuple[Rgb, tuple[float, float, float]]:
    """A photo fitted into a grey (size_px, size_px, 3) square, with (scale, left, top) in px of the square."""
    height, width = image.shape[:2]
    scale = size_px / max(height, width)
    new_height, new_width = round(height * scale), round(width * scale)
    top, left = (size_px - new_height) // 2, (size_px - new_width) // 2
    square = np.full((size_px, size_px, 3), LETTERBOX_GREY, np.uint8)
    resized = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_AREA)
    square[top : top + new_height, left : left + new_width] = resized
    return square, (scale, float(left), float(top))


def _load_squares(stem: Path, paths: list[Path], size_px: int) -> tuple[NDArray[np.uint8], Floats]:
    """Squares (N, S, S, 3) and (scale, left, top) of each, (N, 3); made anew where the cache holds another number."""
    pixels_path, fits_path = stem.with_suffix(".npy"), stem.with_suffix(".fits.npy")
    if fits_path.exists() and len(np.load(fits_path)) == len(paths):
        return np.load(pixels_path, mmap_mode="r"), np.load(fits_path)
    shape = (len(paths), size_px, size_px, 3)
    squares = np.lib.format.open_memmap(pixels_path, mode="w+", dtype=np.uint8, shape=shape)
    fits = np.empty((len(paths), 3), np.float32)
    for index, path in enumerate(tqdm(paths, desc="letterboxing")):
        squares[index], fits[index] = letterbox(decode_rgb(path.read_bytes()), size_px)
    squares.flush()
    np.save(fits_path, fits)
    return squares, fits


@click.command()
@click.option("--photos", "photos_dir", type=Path, default=Path("data/pretrain/photos"), show_default=True)
@click.option("--num-photos", default=4_500, show_default=True)
@click.option("--num-workers", default=2, show_default=True)
@click.option("--seed", default=20_000, show_default=True)
def main(*, photos_dir: Path, num_photos: int, num_workers: int, seed: int) -> None:
    """Render training photos for the detectors; what is there stays."""
    num_parts = -(-num_photos // PHOTOS_PER_PART)
    render_one = partial(render_part, photos_dir=photos_dir, seed=seed)
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        list(tqdm(pool.map(render_one, range(num_parts)), total=num_parts, desc="parts"))


if __name__ == "__main__":
    main()
