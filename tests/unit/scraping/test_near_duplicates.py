"""Near duplicates are found by their hashes, and nothing else is taken for one."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from bolid_pipeline.images import probe
from bolid_pipeline.scraping.near_duplicates import cluster
from bolid_pipeline.scraping.perceptual_hash import MIN_SIDE_PX, perceptual_hashes


def scene(seed: int) -> Image.Image:
    """A picture with large and small shapes, unlike that of any other seed."""
    rng = np.random.default_rng(seed)
    layers = [
        Image.fromarray(rng.integers(0, 255, (side, side, 3), dtype=np.uint8)).resize(
            (360, 480), Image.Resampling.BICUBIC
        )
        for side in (5, 40)
    ]
    return Image.blend(layers[0], layers[1], 0.4)


def photo(name: str, image: Image.Image, identity: str = "anna", quality: int = 90) -> dict[str, str]:
    target = io.BytesIO()
    image.save(target, "JPEG", quality=quality)
    plain, mirrored = perceptual_hashes(probe(target.getvalue(), min_side_px=MIN_SIDE_PX).image)
    return {"photo_id": name, "identity": identity, "perceptual_hash": plain, "mirrored_hash": mirrored}


def clusters_of(photos: list[dict[str, str]]) -> list[set[str]]:
    groups: dict[str, set[str]] = {}
    for row in cluster(photos, set()):
        groups.setdefault(row["cluster_id"], set()).add(row["photo_id"])
    return sorted(groups.values(), key=min)


SMALL_CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "larger": lambda image: image.resize((500, 667)),
    "smaller": lambda image: image.resize((180, 240)),
    "cropped": lambda image: image.crop((6, 8, 354, 472)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.08),
    "mirrored": ImageOps.mirror,
    "mirrored and smaller": lambda image: ImageOps.mirror(image).resize((270, 360)),
}


@pytest.mark.parametrize("change", SMALL_CHANGES.values(), ids=SMALL_CHANGES.keys())
@pytest.mark.parametrize("quality", [90, 50])
def test_a_photo_hardly_changed_is_in_the_cluster_of_its_original(change, quality):
    photos = [photo(str(seed), scene(seed)) for seed in range(4)]
    photos.append(photo("changed", change(scene(2)), quality=quality))
    assert clusters_of(photos) == [{"0"}, {"1"}, {"2", "changed"}, {"3"}]


def test_other_photos_are_alone():
    assert len(clusters_of([photo(str(seed), scene(seed)) for seed in range(40)])) == 40


def test_a_cluster_is_named_after_its_smallest_photo_whatever_the_order():
    photos = [photo("b", scene(1)), photo("a", scene(1), quality=60), photo("c", scene(2))]
    names = [
        {row["photo_id"]: row["cluster_id"] for row in cluster(order, set())}
        for order in (photos, photos[::-1])
    ]
    assert names == [{"a": "a", "b": "a", "c": "c"}] * 2


def test_the_same_picture_under_two_people_is_shared_with_all_its_near_duplicates():
    photos = [
        photo("a1", scene(1)),
        photo("a2", scene(1).crop((6, 8, 354, 472))),
        photo("a3", scene(3)),
        photo("b1", scene(1), "boris", quality=60),
        photo("b2", scene(2), "boris"),
    ]
    shared = {row["photo_id"] for row in cluster(photos, set()) if row["is_shared"]}
    assert shared == {"a1", "a2", "b1"}


def test_bytes_that_stand_under_somebody_else_make_the_whole_cluster_shared():
    photos = [photo("a1", scene(1)), photo("a2", scene(1), quality=60), photo("a3", scene(3))]
    assert [row["photo_id"] for row in cluster(photos, {"a2"}) if row["is_shared"]] == ["a1", "a2"]


def test_no_photos_make_no_clusters():
    assert cluster([], set()) == []
