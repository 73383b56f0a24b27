"""A whole gallery site's worth of photos on disk, with its ground truth.

`world.json` is what the stand-in site shows; `ground_truth.jsonl` is for tests and evaluation only: the pipeline never
reads it.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from tqdm import tqdm

from bodyworld.render.identity import BodyIdentity, sample_identity
from bodyworld.world.naming import file_name, invent_name
from bodyworld.world.photographs import Photo, PhotoOrder, PlaceOrder
from bodyworld.world.render_farm import take_photos

WORLD_FORMAT = 2
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


def build_world(
    config: WorldConfig, folder: Path, progress: bool = True, num_workers: int | None = None
) -> None:
    """Write the world into `folder`, all or nothing; does nothing where the same world already lies.

    `num_workers`: processes that render, one per core by default; the world is the same with any number.
    """
    description = {"format": WORLD_FORMAT, **asdict(config)}
    if _is_built(folder, description):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        workshop.chmod(0o755)
        _write_world(config, description, workshop, progress, num_workers)
        if folder.exists():
            shutil.rmtree(folder)
        workshop.rename(folder)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _is_built(folder: Path, description: dict[str, Any]) -> bool:
    path = folder / "world.json"
    if not path.exists():
        return False
    try:
        built = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError:
        return False
    return built.get("config") == json.loads(json.dumps(description))


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
        slug, name = invent_name(identity.sex, number, {p[0] for p in people}, rng)
        people.append((slug, name, identity))
    return people


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
            "file": file, "slug": slug, "width": photo.width, "height": photo.height, **photo.truth
        }  # fmt: skip
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
    """Everybody's gallery, then the one that is not a person."""
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
