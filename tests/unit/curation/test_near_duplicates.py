"""Near duplicates are found by their hashes, and nothing else is taken for one."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from bolid_pipeline.curation.near_duplicates import cluster, refresh_clusters
from bolid_pipeline.images.decoding import probe
from bolid_pipeline.images.perceptual_hash import MIN_SIDE_PX, perceptual_hashes
from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.tables import TableStore


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


def store(tables: TableStore, photos: list[dict[str, str]]) -> None:
    blank = dict.fromkeys(SCHEMAS["raw_photos"].columns.names)
    tables.append("raw_photos", [blank | photo for photo in photos])


def stored_clusters(tables: TableStore) -> dict[str, tuple[str, bool]]:
    rows = tables.read("photo_clusters").to_pylist()
    return {row["photo_id"]: (row["cluster_id"], row["is_shared"]) for row in rows}


def test_the_table_follows_the_photos_and_a_second_refresh_writes_nothing(tmp_path):
    tables = TableStore(tmp_path)
    store(tables, [photo("a", scene(1)), photo("b", scene(2))])
    assert refresh_clusters(tables).num_computed == 2
    assert stored_clusters(tables) == {"a": ("a", False), "b": ("b", False)}
    assert refresh_clusters(tables).num_up_to_date == 2
    store(tables, [photo("c", scene(2), quality=60)])
    tables.delete("raw_photos", "photo_id", ["a"])
    report = refresh_clusters(tables)
    assert (report.num_computed, report.num_up_to_date, report.num_pruned) == (1, 1, 1)
    assert stored_clusters(tables) == {"b": ("b", False), "c": ("b", False)}


def test_a_photo_that_is_found_under_somebody_else_later_becomes_shared(tmp_path):
    tables = TableStore(tmp_path)
    store(tables, [photo("a", scene(1)), photo("b", scene(2))])
    refresh_clusters(tables)
    blank = dict.fromkeys(SCHEMAS["rejected_downloads"].columns.names)
    refusals = [
        {"page_url": "1", "photo_id": "a", "reason": "photo_of_another_identity"},
        {"page_url": "2", "photo_id": "b", "reason": "duplicate_photo"},
        {"page_url": "3", "photo_id": "gone", "reason": "photo_of_another_identity"},
    ]
    tables.append("rejected_downloads", [blank | refusal for refusal in refusals])
    assert refresh_clusters(tables).num_computed == 1
    assert stored_clusters(tables) == {"a": ("a", True), "b": ("b", False)}
    assert refresh_clusters(tables).num_computed == 0


def test_a_photo_whose_person_changes_is_compared_anew(tmp_path):
    tables = TableStore(tmp_path)
    cropped, again = photo("b", scene(1).crop((6, 8, 354, 472))), photo("c", scene(2), quality=60)
    wrong = [each | {"identity": "boris"} for each in (cropped, again)]
    store(tables, [photo("a", scene(1)), photo("d", scene(2)), *wrong])
    refresh_clusters(tables)
    assert stored_clusters(tables) == {
        "a": ("a", False),  # the crop is near enough for one person's photos, and not for two people's
        "b": ("b", False),
        "c": ("c", True),
        "d": ("c", True),
    }
    store(tables, [cropped, again])  # put right: both are anna's
    refresh_clusters(tables)
    assert stored_clusters(tables) == {
        "a": ("a", False),
        "b": ("a", False),
        "c": ("c", False),
        "d": ("c", False),
    }


def test_a_doubt_that_is_gone_leaves_the_photo_to_its_person(tmp_path):
    tables = TableStore(tmp_path)
    store(tables, [photo("a", scene(1))])
    blank = dict.fromkeys(SCHEMAS["rejected_downloads"].columns.names)
    refusal = {"page_url": "1", "photo_id": "a", "reason": "photo_of_another_identity"}
    tables.append("rejected_downloads", [blank | refusal])
    refresh_clusters(tables)
    assert stored_clusters(tables) == {"a": ("a", True)}
    tables.delete("rejected_downloads", "page_url", ["1"])
    refresh_clusters(tables)
    assert stored_clusters(tables) == {"a": ("a", False)}


def test_people_who_are_left_out_make_nobody_elses_photo_doubtful(tmp_path):
    tables = TableStore(tmp_path)
    store(tables, [photo("a", scene(1)), photo("b", scene(1), "boris", quality=60)])
    blank = dict.fromkeys(SCHEMAS["rejected_downloads"].columns.names)
    refusal = {"page_url": "1", "photo_id": "a", "reason": "photo_of_another_identity", "identity": "boris"}
    tables.append("rejected_downloads", [blank | refusal])
    refresh_clusters(tables, {"boris"})
    assert stored_clusters(tables) == {"a": ("a", False), "b": ("a", False)}
    refresh_clusters(tables)
    assert stored_clusters(tables) == {"a": ("a", True), "b": ("a", True)}
