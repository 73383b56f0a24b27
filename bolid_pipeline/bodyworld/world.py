"""A whole gallery site's worth of photos on disk, with its ground truth.

`world.json` is what the stand-in site shows; `ground_truth.jsonl` is for tests and evaluation only: the pipeline never
reads it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np
from tqdm import tqdm

from bolid_pipeline.bodyworld import defects
from bolid_pipeline.bodyworld.captions import caption
from bolid_pipeline.bodyworld.identity import BodyIdentity, sample_identity
from bolid_pipeline.bodyworld.renderer import Rendering, render, render_place
from bolid_pipeline.bodyworld.scene import Scene, sample_scene, sample_yaw_deg

WORLD_FORMAT = 1
PHOTO_SIZES = ((1500, 1000), (1440, 1080), (1200, 1200), (1050, 1400), (1536, 1024))  # height, width
_FIRST_NAMES = {
    "woman": ("Anna", "Clara", "Dunja", "Elif", "Freya", "Greta", "Hanna", "Ines", "Jorun", "Kaia", "Lina", "Mira",
              "Nadia", "Olga", "Petra", "Rosa", "Selma", "Tilda", "Vera", "Ylva"),
    "man": ("Arne", "Boris", "Carlo", "Davor", "Emil", "Fabio", "Goran", "Hugo", "Ivan", "Jonas", "Karl", "Luca",
            "Milan", "Nils", "Otto", "Pavel", "Rolf", "Stefan", "Timo", "Viktor"),
}  # fmt: skip
_LAST_NAMES = (
    "Berg", "Castell", "Dorn", "Ekman", "Falk", "Grove", "Holm", "Ilves", "Jarvi", "Krantz", "Lund", "Moreau", "Nyberg",
    "Orlow", "Pavic", "Quist", "Rask", "Stahl", "Torin", "Ulrich", "Varga", "Winter", "Young", "Zeller",
)  # fmt: skip
_PLACE_GALLERY = ("autumn_forests", "Autumn forests")
_PLACE_PHOTOS = 4


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """What to build. Rates are fractions of all photos of people.

    `hidden_face_rate`: share of the photos with several people where one face is hidden.
    """

    seed: int = 0
    num_identities: int = 8
    num_photos_per_identity: int = 25
    watermark_rate: float = 0.06
    several_people_rate: float = 0.05
    hidden_face_rate: float = 1.0 / 3.0
    too_small_rate: float = 0.04
    near_duplicate_rate: float = 0.04
    truncated_rate: float = 0.01
    wrong_type_rate: float = 0.01
    forced_scene: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A file to be written and all that is true of it."""

    data: bytes
    height: int
    width: int
    truth: dict[str, Any]


def build_world(config: WorldConfig, folder: Path, progress: bool = True) -> None:
    """Write the world into `folder`, all or nothing; does nothing where the same world already lies."""
    description = {"format": WORLD_FORMAT, **asdict(config)}
    if _is_built(folder, description):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        workshop.chmod(0o755)
        _write_world(config, description, workshop, progress)
        if folder.exists():
            shutil.rmtree(folder)
        workshop.rename(folder)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def draw_identities(config: WorldConfig) -> list[tuple[str, str, BodyIdentity]]:
    """(slug, name, identity) of everybody in the world, a pure function of the config.

    Each person is the one of several draws that differs most from those before, so that nobody has a twin.
    """
    rng = np.random.default_rng((config.seed, 1))
    people: list[tuple[str, str, BodyIdentity]] = []
    for number in range(config.num_identities):
        candidates = [sample_identity(rng) for _ in range(6)]
        taken = [identity.vector() for _, _, identity in people]
        identity = max(
            candidates, key=lambda c: min((float(np.abs(c.vector() - v).sum()) for v in taken), default=0.0)
        )
        slug, name = _invent_name(identity.sex, number, {p[0] for p in people}, rng)
        people.append((slug, name, identity))
    return people


def _invent_name(sex: str, number: int, taken: set[str], rng: np.random.Generator) -> tuple[str, str]:
    """A slug like `anna_berg`; the second person has an initial, as in `anna_p._berg`."""
    while True:
        first, last = str(rng.choice(_FIRST_NAMES[sex])), str(rng.choice(_LAST_NAMES))
        has_initial = number == 1 or rng.random() < 0.03
        name = f"{first} {rng.choice(tuple('ABDGHJKLMPRST'))}. {last}" if has_initial else f"{first} {last}"
        slug = name.lower().replace(" ", "_")
        if slug not in taken:
            return slug, name
        if len(taken) > 300:
            return f"{slug}_{number}", f"{name} {number}"


def _is_built(folder: Path, description: dict[str, Any]) -> bool:
    path = folder / "world.json"
    if not path.exists():
        return False
    try:
        built = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError:
        return False
    return built.get("config") == json.loads(json.dumps(description))


def _write_world(config: WorldConfig, description: dict[str, Any], folder: Path, progress: bool) -> None:
    people = draw_identities(config)
    galleries: list[dict[str, Any]] = []
    total = config.num_identities * config.num_photos_per_identity
    plans = plan_photos(config)
    with (
        (folder / "ground_truth.jsonl").open("w", encoding="utf-8") as truth_file,
        tqdm(total=total + _PLACE_PHOTOS, desc="bodyworld", unit="photo", disable=not progress) as bar,
    ):
        for number, (slug, name, identity) in enumerate(people):
            photos = _gallery_photos(config, identity, number, plans[number])
            galleries.append(_write_gallery(folder, slug, name, True, photos, truth_file, bar))
        galleries.append(
            _write_gallery(folder, *_PLACE_GALLERY, False, _place_photos(config), truth_file, bar)
        )
    (folder / "world.json").write_text(
        json.dumps({"config": description, "galleries": galleries}, indent=1), encoding="utf-8"
    )


def _write_gallery(
    folder: Path, slug: str, name: str, is_person: bool, photos: Iterator[Photo], truth_file: TextIO, bar: Any
) -> dict[str, Any]:
    """Write the files of one gallery and its lines of ground truth; returns its entry in world.json."""
    (folder / "photos" / slug).mkdir(parents=True)
    entries: list[dict[str, Any]] = []
    for index, photo in enumerate(photos):
        file = f"photos/{slug}/{file_name(slug, index)}"
        (folder / file).write_bytes(photo.data)
        entries.append({"file": file, "width": photo.width, "height": photo.height})
        truth: dict[str, Any] = {
            "file": file, "slug": slug, "width": photo.width, "height": photo.height, **photo.truth
        }  # fmt: skip
        if truth["duplicate_of"] is not None:
            truth["duplicate_of"] = entries[truth["duplicate_of"]]["file"]
        truth_file.write(json.dumps(truth) + "\n")
        bar.update()
    return {"slug": slug, "name": name, "is_person": is_person, "letter": slug[0], "photos": entries}


def file_name(slug: str, index: int) -> str:
    """`anna_berg_0012.jpg`; some names have a blank, a copy's `(1)`, a `+`, or are cut to 20 characters."""
    stem = f"{slug}_{index:04d}"
    match index % 17:
        case 5:
            stem = f"{slug.replace('_', ' ')} {index:04d}"
        case 9:
            stem = f"{stem} (1)"
        case 12:
            stem = f"{slug}+{index:04d}"
        case 15:
            stem = f"{index:04d}_{slug}_in_a_long_title"[:20]
        case _:
            pass
    return f"{stem}.jpg"


def plan_photos(config: WorldConfig) -> list[list[str]]:
    """What becomes of each photo, per identity: a defect's name or `normal`; the rates hold over the whole world."""
    rng = np.random.default_rng((config.seed, 2))
    total = config.num_identities * config.num_photos_per_identity
    rates = {
        "watermark": config.watermark_rate,
        "several_people": config.several_people_rate,
        "too_small": config.too_small_rate,
        "near_duplicate": config.near_duplicate_rate,
        "truncated": config.truncated_rate,
        "wrong_type": config.wrong_type_rate,
    }
    plan = [kind for kind, rate in rates.items() for _ in range(_count(rate, total))][:total]
    plan += ["normal"] * (total - len(plan))
    order = [plan[i] for i in rng.permutation(total)]
    step = config.num_photos_per_identity
    rows = [order[i * step : (i + 1) * step] for i in range(config.num_identities)]
    for row in rows:  # a duplicate needs a sound photo before it
        if row and row[0] == "near_duplicate":
            other = next((i for i, kind in enumerate(row) if kind == "normal"), 0)
            row[0], row[other] = row[other], row[0]
    return rows


def _count(rate: float, total: int) -> int:
    """Number of photos for a rate; at least one where the rate is not zero and the world not tiny."""
    return max(round(rate * total), 1) if rate > 0 and total >= 20 else round(rate * total)


def _gallery_photos(
    config: WorldConfig, identity: BodyIdentity, number: int, plan: list[str]
) -> Iterator[Photo]:
    """Yield the photos of one person."""
    sound: dict[int, tuple[defects.Picture, dict[str, Any]]] = {}
    for index, kind in enumerate(plan):
        rng = np.random.default_rng((config.seed, 3, number, index))
        if kind == "near_duplicate" and sound:
            yield _duplicate_photo(sound, rng)
            continue
        image, truth = _take_photo(config, identity, kind, rng)
        if kind == "normal":
            sound = {index: (image, truth)}
        yield _spoil(image, truth, kind, rng)


def _take_photo(
    config: WorldConfig, identity: BodyIdentity, kind: str, rng: np.random.Generator
) -> tuple[defects.Picture, dict[str, Any]]:
    """Render one photo and describe it."""
    scene = sample_scene(rng, sex=identity.sex, **config.forced_scene)
    cast = [(identity, scene)]
    hidden = False
    if kind == "several_people":
        hidden = bool(rng.random() < config.hidden_face_rate)
        cast = add_companions(identity, scene, 3 if rng.random() < 0.25 else 2, hidden, rng)
    height, width = PHOTO_SIZES[int(rng.choice(len(PHOTO_SIZES), p=(0.3, 0.22, 0.14, 0.1, 0.24)))]
    if kind == "several_people" and rng.random() < 0.5:
        height, width = 1050, 1400
    rendering = render(cast, height, width, rng)
    truth = describe(rendering, identity, cast[0][1])
    vector = [round(float(value), 5) for value in identity.vector()]
    return rendering.image, {**truth, "has_hidden_face": hidden, "identity": vector}


def add_companions(
    identity: BodyIdentity, scene: Scene, num_people: int, is_face_hidden: bool, rng: np.random.Generator
) -> list[tuple[BodyIdentity, Scene]]:
    """The person with strangers beside; the last one may hide the face. Poses are those that leave room."""
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


def describe(rendering: Rendering, identity: BodyIdentity, scene: Scene) -> dict[str, Any]:
    """Ground truth of a rendering as plain numbers, before any defect."""
    return {
        "keypoints": rendering.keypoints.round(2).tolist(),
        "all_keypoints": rendering.all_keypoints.round(2).tolist(),
        "person_boxes": rendering.person_boxes.round(1).tolist(),
        "face_boxes": rendering.face_boxes.round(1).tolist(),
        "num_people": len(rendering.person_boxes),
        "num_faces": len(rendering.face_boxes),
        "caption": caption(identity, scene),
        "scene": asdict(scene),
        "has_watermark": False,
        "watermark_kind": None,
        "watermark_opacity": None,
        "defect": None,
        "duplicate_of": None,
        "duplicate_kind": None,
    }


def _spoil(image: defects.Picture, truth: dict[str, Any], kind: str, rng: np.random.Generator) -> Photo:
    """Apply what the plan says and encode."""
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
        truth |= _moved(truth, (image.shape[0] / height,) * 2, (0.0, 0.0))
    data = defects.encode_jpeg(image, quality)
    if kind == "truncated":
        data = defects.truncate(data, rng)
    if kind == "wrong_type":
        data = defects.wrong_type_bytes(image, rng)
    if kind not in ("normal", "near_duplicate"):
        truth["defect"] = kind
    return Photo(data=data, height=image.shape[0], width=image.shape[1], truth=truth)


def _duplicate_photo(
    sound: dict[int, tuple[defects.Picture, dict[str, Any]]], rng: np.random.Generator
) -> Photo:
    """A near duplicate of the last sound photo."""
    index, (image, truth) = next(iter(sound.items()))
    kind = str(rng.choice(defects.DUPLICATE_KINDS))
    copy, (scale_x, scale_y, offset_x, offset_y) = defects.near_duplicate(image, kind, rng)
    if min(copy.shape[:2]) < 1000:
        factor = 1000.0 / min(copy.shape[:2])
        size = (int(np.ceil(copy.shape[1] * factor)), int(np.ceil(copy.shape[0] * factor)))
        scale_x, offset_x = (v * size[0] / copy.shape[1] for v in (scale_x, offset_x))
        scale_y, offset_y = (v * size[1] / copy.shape[0] for v in (scale_y, offset_y))
        copy = cv2.resize(copy, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    moved = _moved(truth, (scale_x, scale_y), (offset_x, offset_y))
    truth = truth | moved | {"defect": "near_duplicate", "duplicate_of": index, "duplicate_kind": kind}
    if kind == "flip":
        truth["caption"] = _swap_words(str(truth["caption"]), "facing left", "facing right")
    return _spoil(copy, truth, "near_duplicate", rng)


def _swap_words(text: str, one: str, two: str) -> str:
    return text.replace(one, two) if one in text else text.replace(two, one)


_MIRRORED = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


def _moved(truth: dict[str, Any], scale: tuple[float, ...], offset: tuple[float, float]) -> dict[str, Any]:
    """Keypoints and boxes after new = scale * old + offset; a mirrored picture swaps left and right."""
    moved: dict[str, Any] = {}
    for name in ("keypoints", "all_keypoints"):
        points = np.array(truth[name], np.float64)
        points[..., :2] = points[..., :2] * np.array(scale) + np.array(offset)
        moved[name] = (points[..., _MIRRORED, :] if scale[0] < 0 else points).round(2).tolist()
    for name in ("person_boxes", "face_boxes"):
        boxes = np.array(truth[name], np.float64).reshape(-1, 4) * np.array([*scale, *scale])
        boxes = boxes + np.array([*offset, *offset])
        if scale[0] < 0:
            boxes = boxes[:, [2, 1, 0, 3]]
        moved[name] = boxes.round(1).tolist()
    return moved


def _place_photos(config: WorldConfig) -> Iterator[Photo]:
    """Yield photos without people for the gallery that is not a person."""
    for index in range(_PLACE_PHOTOS):
        rng = np.random.default_rng((config.seed, 4, index))
        height, width = PHOTO_SIZES[index % len(PHOTO_SIZES)]
        kind = ("forest", "beach", "forest", "snow")[index % 4]
        image = render_place(kind, height, width, int(rng.integers(2**31)), rng)
        truth = {
            "keypoints": [], "all_keypoints": [], "person_boxes": [], "face_boxes": [], "num_people": 0, "num_faces": 0,
            "caption": f"a photo of a {kind}", "scene": None, "has_watermark": False, "watermark_kind": None,
            "watermark_opacity": None, "defect": None, "duplicate_of": None, "duplicate_kind": None,
            "has_hidden_face": False, "identity": None,
        }  # fmt: skip
        yield _spoil(image, truth, "normal", rng)
