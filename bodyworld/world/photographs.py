"""One photo file, sound or spoiled, with its ground truth.

A photo is a pure function of its order, so photos may be taken in any sequence and in any process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from bodyworld.render.identity import BodyIdentity, sample_identity
from bodyworld.render.renderer import render, render_place
from bodyworld.render.scene import Scene, sample_scene, sample_yaw_deg
from bodyworld.world import defects
from bodyworld.world.ground_truth import describe, describe_place, mirror_caption, move

PHOTO_SIZES = ((1500, 1000), (1440, 1080), (1200, 1200), (1050, 1400), (1536, 1024))
"""(height, width) in px of the photos that are not spoiled."""


@dataclass(frozen=True, kw_only=True)
class PhotoOrder:
    """Everything that decides a photo of a person."""

    identity: BodyIdentity
    kind: str
    """`normal`, or the name of a defect as in `WorldConfig`, without `_rate`."""
    world_seed: int
    person: int
    """Number of the person in the world."""
    index: int
    """Number of the photo in the gallery."""
    copied_index: int | None = None
    """The sound photo that a near duplicate copies."""
    hidden_face_rate: float = 0.0
    """Chance that one of several people hides the face."""
    forced_scene: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields of `Scene` by name."""

    def rng(self) -> np.random.Generator:
        """The random numbers of this photo, independent of all others."""
        return np.random.default_rng((self.world_seed, 3, self.person, self.index))


@dataclass(frozen=True, kw_only=True)
class PlaceOrder:
    """Everything that decides a photo without people."""

    world_seed: int
    index: int


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A file to be written, with its ground truth."""

    data: bytes
    height: int
    width: int
    truth: dict[str, Any]
    """A line of `ground_truth.jsonl`, but for `duplicate_of`, which is still an index of the gallery."""


def take_photo(order: PhotoOrder | PlaceOrder) -> Photo:
    """The photo that an order describes."""
    if isinstance(order, PlaceOrder):
        return _take_place(order)
    rng = order.rng()
    if order.copied_index is not None:
        return _duplicate(replace(order, kind="normal", index=order.copied_index, copied_index=None), rng)
    image, truth = _take_person(order, rng)
    return _spoil(image, truth, order.kind, rng)


def _take_person(order: PhotoOrder, rng: np.random.Generator) -> tuple[defects.Picture, dict[str, Any]]:
    """An (H, W, 3) image as the order asks, before any defect, and its ground truth."""
    identity = order.identity
    scene = sample_scene(rng, sex=identity.sex, **order.forced_scene)
    cast = [(identity, scene)]
    hidden = False
    if order.kind == "several_people":
        hidden = bool(rng.random() < order.hidden_face_rate)
        cast = add_companions(identity, scene, 3 if rng.random() < 0.25 else 2, hidden, rng)
    height, width = PHOTO_SIZES[int(rng.choice(len(PHOTO_SIZES), p=(0.3, 0.22, 0.14, 0.1, 0.24)))]
    if order.kind == "several_people" and rng.random() < 0.5:
        height, width = 1050, 1400
    rendering = render(cast, height, width, rng)
    truth = describe(rendering, identity, cast[0][1])
    vector = [round(float(value), 5) for value in identity.vector()]
    return rendering.image, {**truth, "has_hidden_face": hidden, "identity": vector}


def add_companions(
    identity: BodyIdentity, scene: Scene, num_people: int, is_face_hidden: bool, rng: np.random.Generator
) -> list[tuple[BodyIdentity, Scene]]:
    """The person with strangers beside, all in poses that leave room; the last one may hide the face."""
    calm = ("standing", "hands on hips", "arms crossed", "walking")
    main = replace(scene, pose=str(rng.choice(calm)), facing="front", yaw_deg=sample_yaw_deg(rng, "front"))
    cast = [(identity, main)]
    for number in range(1, num_people):
        stranger = sample_identity(rng)
        other = sample_scene(rng, sex=stranger.sex, pose=str(rng.choice(calm)), facing="front")
        if is_face_hidden and number == num_people - 1:
            cover = str(rng.choice(("away", "hat", "board")))
            other = (
                replace(other, facing="away", yaw_deg=sample_yaw_deg(rng, "away"))
                if cover == "away"
                else replace(other, face_cover=cover)
            )
        cast.append((stranger, other))
    return cast


def _take_place(order: PlaceOrder) -> Photo:
    rng = np.random.default_rng((order.world_seed, 4, order.index))
    height, width = PHOTO_SIZES[order.index % len(PHOTO_SIZES)]
    kind = ("forest", "beach", "forest", "snow")[order.index % 4]
    image = render_place(kind, height, width, int(rng.integers(2**31)), rng)
    return _spoil(image, describe_place(kind), "normal", rng)


def _spoil(image: defects.Picture, truth: dict[str, Any], kind: str, rng: np.random.Generator) -> Photo:
    """The photo with its defect, encoded."""
    quality = int(rng.integers(82, 96))
    truth = {**truth, "jpeg_quality": quality}
    if kind == "watermark":
        mark = str(rng.choice(defects.WATERMARK_KINDS))
        opacity = round(float(rng.uniform(0.25, 0.9)), 3)
        image = defects.add_watermark(image, mark, opacity, rng)
        truth |= {"has_watermark": True, "watermark_kind": mark, "watermark_opacity": opacity}
    if kind == "too_small":
        height = image.shape[0]
        image = defects.shrink(image, int(rng.integers(360, 960)))
        truth |= move(truth, (image.shape[0] / height,) * 2, (0.0, 0.0))
    data = defects.encode_jpeg(image, quality)
    if kind == "truncated":
        data = defects.truncate(data, rng)
    if kind == "wrong_type":
        data = defects.wrong_type_bytes(image, rng)
    if kind not in ("normal", "near_duplicate"):
        truth["defect"] = kind
    return Photo(data=data, height=image.shape[0], width=image.shape[1], truth=truth)


def _duplicate(original: PhotoOrder, rng: np.random.Generator) -> Photo:
    """A near duplicate of a sound photo; rendering that once more is cheaper than keeping all photos."""
    image, truth = _take_person(original, original.rng())
    kind = str(rng.choice(defects.DUPLICATE_KINDS))
    copy, (scale_x, scale_y, offset_x, offset_y) = defects.near_duplicate(image, kind, rng)
    if min(copy.shape[:2]) < 1000:
        factor = 1000.0 / min(copy.shape[:2])
        size = (int(np.ceil(copy.shape[1] * factor)), int(np.ceil(copy.shape[0] * factor)))
        scale_x, offset_x = (v * size[0] / copy.shape[1] for v in (scale_x, offset_x))
        scale_y, offset_y = (v * size[1] / copy.shape[0] for v in (scale_y, offset_y))
        copy = cv2.resize(copy, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    moved = move(truth, (scale_x, scale_y), (offset_x, offset_y))
    truth |= moved | {"defect": "near_duplicate", "duplicate_of": original.index, "duplicate_kind": kind}
    if kind == "flip":
        truth["caption"] = mirror_caption(str(truth["caption"]))
    return _spoil(copy, truth, "near_duplicate", rng)
