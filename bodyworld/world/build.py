"""A whole gallery site's worth of photos on disk, with its ground truth.

`world.json` is what the stand-in site shows. `ground_truth.jsonl` is for tests and evaluation; the pipeline never reads
it.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TextIO

import numpy as np
from tqdm import tqdm

from bodyworld.render.identity import BodyIdentity, sample_identity
from bodyworld.world.naming import file_name, invent_name
from bodyworld.world.photographs import Photo, PhotoOrder, PlaceOrder
from bodyworld.world.render_farm import take_photos
from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.settings import Field, settings

WORLD_FORMAT = 2
MOST = 10_000
"""Of people, and of photos of each."""
_FILES = ("world.json", "ground_truth.jsonl")
_PLACE_GALLERY = ("autumn_forests", "Autumn forests")
_PLACE_PHOTOS = 4


Rate = Annotated[float, Field(ge=0.0, le=1.0)]


@settings
class WorldConfig:
    """Numbers of a world's people and photos, and the shares of spoiled photos.

    A rate is a share of all photos of people, unless its line says otherwise.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    """Worlds of different seeds have different people."""
    num_identities: Annotated[int, Field(ge=0, le=MOST)] = 8
    """Number of people."""
    num_photos_per_identity: Annotated[int, Field(ge=0, le=MOST)] = 25
    """Photos in the gallery of each."""
    watermark_rate: Rate = 0.06
    """Photos with a text or logo laid over them."""
    several_people_rate: Rate = 0.05
    """Photos of two or three people."""
    hidden_face_rate: Rate = 1.0 / 3.0
    """Share of the photos of several people in which one face is hidden."""
    too_small_rate: Rate = 0.04
    """Photos whose shorter side is under 1000 px."""
    near_duplicate_rate: Rate = 0.04
    """Photos that copy an earlier one with a small change."""
    truncated_rate: Rate = 0.01
    """Files that end too early."""
    wrong_type_rate: Rate = 0.01
    """Files that hold a web page or a small GIF in place of a JPEG."""
    forced_scene: dict[str, Any] = Field(default_factory=dict)
    """Fields of `Scene` that have the same value in all photos of people."""


def build_world(
    config: WorldConfig, folder: Path, progress: bool = True, num_workers: int | None = None
) -> None:
    """Write a world into a folder, all of it or nothing; a folder that holds the same world is left alone.

    Args:
        config: what to build.
        folder: where; a world of another config there is replaced, and nothing else ever is.
        progress: whether to show a bar.
        num_workers: processes that render, one per core by default. The world is the same with any number.

    Raises:
        ConfigurationError: the folder holds other things than a world.
    """
    description = {"format": WORLD_FORMAT, **asdict(config)}
    if _is_built(folder, description):
        return
    _check_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        unfinished.chmod(0o755)
        _write_world(config, description, unfinished, progress, num_workers)
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _is_built(folder: Path, description: dict[str, Any]) -> bool:
    path = folder / "world.json"
    if not path.exists():
        return False
    try:
        built = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError:
        return False
    return built.get("config") == json.loads(json.dumps(description))


def _check_replaceable(folder: Path) -> None:
    """Refuse a folder with a file that no world has put there, which would be deleted. Raises ConfigurationError."""
    try:
        galleries = json.loads((folder / "world.json").read_text("utf-8"))["galleries"]
        own = {photo["file"] for gallery in galleries for photo in gallery["photos"]} | set(_FILES)
    except (OSError, ValueError, KeyError, TypeError):
        own = set[str]()
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    if other := next((name for name in files if name not in own), None):
        raise ConfigurationError(
            f"{folder} holds {other!r}, which is not of a world and would be deleted: name another folder"
        )


def draw_identities(config: WorldConfig) -> list[tuple[str, str, BodyIdentity]]:
    """(slug, name, identity) of everybody in the world, a pure function of the config.

    Each person is the one of several draws that differs most from everybody before, so that nobody has a twin.
    """
    rng = np.random.default_rng((config.seed, 1))
    people: list[tuple[str, str, BodyIdentity]] = []
    for number in range(config.num_identities):
        candidates = [sample_identity(rng) for _ in range(6)]
        taken = [identity.vector() for _, _, identity in people]
        identity = max(
            candidates, key=lambda c: min((float(np.abs(c.vector() - v).sum()) for v in taken), default=0.0)
        )
        slug, name = invent_name(identity.sex, number, {p[0] for p in people}, rng)
        people.append((slug, name, identity))
    return people


def plan_photos(config: WorldConfig) -> list[list[str]]:
    """The kind of each identity's photos: `normal` or the name of a defect. Rates hold over the whole world."""
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
    """Number of photos for a rate; at least one for any rate above zero, unless the world is tiny."""
    return max(round(rate * total), 1) if rate > 0 and total >= 20 else round(rate * total)


@dataclass(frozen=True, kw_only=True)
class _Gallery:
    slug: str
    name: str
    is_person: bool
    orders: list[PhotoOrder] | list[PlaceOrder]


def _write_world(
    config: WorldConfig, description: dict[str, Any], folder: Path, progress: bool, num_workers: int | None
) -> None:
    galleries = _order_galleries(config)
    orders = [order for gallery in galleries for order in gallery.orders]
    with (
        (folder / "ground_truth.jsonl").open("w", encoding="utf-8") as truth_file,
        closing(take_photos(orders, num_workers)) as photos,
        tqdm(total=len(orders), desc="bodyworld", unit="photo", disable=not progress) as bar,
    ):
        entries = [_write_gallery(folder, gallery, photos, truth_file, bar) for gallery in galleries]
    (folder / "world.json").write_text(
        json.dumps({"config": description, "galleries": entries}, indent=1), encoding="utf-8"
    )


def _write_gallery(
    folder: Path, gallery: _Gallery, photos: Iterator[Photo], truth_file: TextIO, bar: Any
) -> dict[str, Any]:
    """Write the files of one gallery and its lines of ground truth; returns its entry in world.json."""
    slug = gallery.slug
    (folder / "photos" / slug).mkdir(parents=True)
    entries: list[dict[str, Any]] = []
    for index, photo in enumerate(islice(photos, len(gallery.orders))):
        file = f"photos/{slug}/{file_name(slug, index)}"
        (folder / file).write_bytes(photo.data)
        entries.append({"file": file, "width": photo.width, "height": photo.height})
        truth: dict[str, Any] = {
            "file": file,
            "slug": slug,
            "width": photo.width,
            "height": photo.height,
            **photo.truth,
        }
        if truth["duplicate_of"] is not None:
            truth["duplicate_of"] = entries[truth["duplicate_of"]]["file"]
        truth_file.write(json.dumps(truth) + "\n")
        bar.update()
    return {
        "slug": slug,
        "name": gallery.name,
        "is_person": gallery.is_person,
        "letter": gallery.name[0],
        "photos": entries,
    }


def _order_galleries(config: WorldConfig) -> list[_Gallery]:
    """The gallery of everybody, then one of a place."""
    people = zip(draw_identities(config), plan_photos(config), strict=True)
    galleries = [
        _Gallery(slug=slug, name=name, is_person=True, orders=_order_photos(config, identity, number, plan))
        for number, ((slug, name, identity), plan) in enumerate(people)
    ]
    slug, name = _PLACE_GALLERY
    places = [PlaceOrder(world_seed=config.seed, index=index) for index in range(_PLACE_PHOTOS)]
    return [*galleries, _Gallery(slug=slug, name=name, is_person=False, orders=places)]


def _order_photos(
    config: WorldConfig, identity: BodyIdentity, person: int, plan: list[str]
) -> list[PhotoOrder]:
    """The photos of one person; a near duplicate copies the last sound photo before it."""
    orders: list[PhotoOrder] = []
    sound: int | None = None
    for index, kind in enumerate(plan):
        orders.append(
            PhotoOrder(
                identity=identity,
                kind=kind,
                world_seed=config.seed,
                person=person,
                index=index,
                copied_index=sound if kind == "near_duplicate" else None,
                hidden_face_rate=config.hidden_face_rate,
                forced_scene=config.forced_scene,
            )
        )
        if kind == "normal":
            sound = index
    return orders
