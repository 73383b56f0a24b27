import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bodyworld.render.identity import sample_identity
from bodyworld.render.renderer import render
from bodyworld.render.scene import sample_scene
from bodyworld.world import build as world
from bodyworld.world import defects
from bodyworld.world.build import WorldConfig, build_world, draw_identities, plan_photos
from bodyworld.world.naming import file_name
from bolid_pipeline.errors import ConfigurationError

CONFIG = WorldConfig(
    seed=1,
    num_identities=2,
    num_photos_per_identity=7,
    watermark_rate=0.14,
    several_people_rate=0.07,
    near_duplicate_rate=0.14,
    too_small_rate=0.07,
    truncated_rate=0.07,
    wrong_type_rate=0.07,
    forced_scene={"background": "studio"},
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bodyworld") / "world"
    build_world(CONFIG, folder, progress=False, num_workers=1)
    return folder


def read_truth(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in (folder / "ground_truth.jsonl").read_text(encoding="utf-8").splitlines()
    ]


def test_files_and_index_agree(built: Path):
    index = json.loads((built / "world.json").read_text(encoding="utf-8"))
    listed = [photo["file"] for gallery in index["galleries"] for photo in gallery["photos"]]
    assert len(listed) == len(set(listed))
    assert set(listed) == {str(p.relative_to(built)) for p in (built / "photos").rglob("*") if p.is_file()}
    assert [line["file"] for line in read_truth(built)] == listed
    places = [gallery for gallery in index["galleries"] if not gallery["is_person"]]
    assert [gallery["name"] for gallery in places] == ["Autumn forests"]
    assert any("." in gallery["slug"] for gallery in index["galleries"])


def test_rates(built: Path):
    lines = [line for line in read_truth(built) if line["num_people"]]
    assert len(lines) == 14
    counts = Counter(line["defect"] for line in lines)
    assert counts[None] == 6
    assert counts["watermark"] == counts["near_duplicate"] == 2
    assert all(counts[kind] == 1 for kind in ("several_people", "too_small", "truncated", "wrong_type"))
    assert sum(line["num_people"] > 1 for line in lines) == 1
    assert sum(line["has_watermark"] for line in lines) == 2


def test_files_are_what_the_truth_says(built: Path):
    for line in read_truth(built):
        data = (built / line["file"]).read_bytes()
        if line["defect"] == "wrong_type":
            assert not data.startswith(b"\xff\xd8")
            continue
        image = Image.open(io.BytesIO(data))
        assert image.size == (line["width"], line["height"])
        assert image.format == "JPEG"
        assert not image.getexif()
        if line["defect"] == "truncated":
            with pytest.raises(OSError, match="truncated"):
                image.load()
        assert (min(image.size) < 1000) == (line["defect"] == "too_small")


def test_near_duplicates_name_a_sound_photo(built: Path):
    lines = {line["file"]: line for line in read_truth(built)}
    copies = [line for line in lines.values() if line["defect"] == "near_duplicate"]
    for copy in copies:
        original = lines[copy["duplicate_of"]]
        assert original["defect"] is None
        assert copy["identity"] == original["identity"]
        x0, y0, x1, y1 = copy["person_boxes"][0]
        assert 0 <= x0 + 30 < x1 <= copy["width"] + 30
        for x, y, is_visible in copy["keypoints"]:
            assert not is_visible or (x0 - 9 <= x <= x1 + 9 and y0 - 9 <= y <= y1 + 9)


def test_same_config_is_not_built_again(built: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(world, "_write_world", refuse)
    build_world(CONFIG, built, progress=False)
    with pytest.raises(AssertionError):
        build_world(WorldConfig(seed=2), built, progress=False)
    assert (built / "world.json").exists(), "a build that fails leaves the old world"
    assert [path.name for path in built.parent.iterdir()] == ["world"]


def test_people_stay_the_same_when_more_photos_are_asked_for():
    few, many = (WorldConfig(num_identities=4, num_photos_per_identity=n) for n in (5, 50))
    assert draw_identities(few) == draw_identities(many)


def test_every_fourth_name_is_cyrillic_and_its_slug_is_not():
    people = draw_identities(WorldConfig(num_identities=8))
    names = [name for _, name, _ in people]
    assert [number for number, name in enumerate(names) if not name.isascii()] == [2, 6]
    assert all("А" <= names[number][0] <= "Я" for number in (2, 6))
    assert all(slug.isascii() for slug, _, _ in people)
    assert len({slug for slug, _, _ in people}) == len(people)


def test_rates_of_a_large_world_come_out_exactly():
    plan = Counter(
        kind
        for row in plan_photos(WorldConfig(num_identities=10, num_photos_per_identity=40))
        for kind in row
    )
    assert plan["watermark"] == 24
    assert plan["several_people"] == 20
    assert plan["near_duplicate"] == 16
    assert plan["truncated"] == plan["wrong_type"] == 4


def test_file_names_are_as_odd_as_on_the_real_site():
    names = [file_name("anna_berg", index) for index in range(40)]
    assert names[12] == "anna_berg+0012.jpg"
    assert len(set(names)) == 40
    assert any(" (1)" in name for name in names)
    assert any(" " in name.removesuffix(".jpg").replace(" (1)", "") for name in names)
    assert any(len(name) == 24 and name.startswith("0015") for name in names)


@pytest.mark.parametrize("kind", defects.WATERMARK_KINDS)
def test_watermark_changes_pixels_in_place(kind: str):
    rng = np.random.default_rng(0)
    identity = sample_identity(rng)
    rendering = render([(identity, sample_scene(rng, sex=identity.sex))], 320, 256, rng)
    before = rendering.image.copy()
    faint, strong = (
        defects.add_watermark(rendering.image, kind, opacity, np.random.default_rng(3))
        for opacity in (0.25, 0.9)
    )
    changes = [np.abs(image.astype(int) - before.astype(int)).sum() for image in (faint, strong)]
    assert np.array_equal(rendering.image, before)
    assert faint.shape == before.shape
    assert 0 < changes[0] < changes[1]


def test_wrong_type_bytes_are_no_jpeg():
    image = np.zeros((64, 64, 3), np.uint8)
    files = [defects.wrong_type_bytes(image, np.random.default_rng(seed)) for seed in range(8)]
    assert {data[:4] for data in files} == {b"<!DO", b"GIF8"}


@pytest.mark.parametrize("foreign", ["me/photo.jpg", "notes.txt", "world.json", ".hidden"])
def test_a_folder_that_holds_something_else_is_refused_and_left_alone(tmp_path, foreign):
    mine = tmp_path / foreign
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    (tmp_path / "photo.jpg").write_text("mine too")
    with pytest.raises(ConfigurationError, match="which is not of a world and would be deleted"):
        build_world(WorldConfig(num_identities=0), tmp_path, progress=False)
    assert mine.read_text() == "mine"
    assert (tmp_path / "photo.jpg").read_text() == "mine too"


def test_a_world_with_a_file_of_ones_own_in_it_is_not_replaced(tmp_path):
    folder = tmp_path / "world"
    build_world(WorldConfig(num_identities=0), folder, progress=False)
    build_world(WorldConfig(num_identities=0, seed=1), folder, progress=False)
    (folder / "photos" / "me").mkdir(parents=True)
    (folder / "photos" / "me" / "1.jpg").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"holds 'photos/me/1\.jpg', which is not of a world"):
        build_world(WorldConfig(num_identities=0, seed=2), folder, progress=False)
