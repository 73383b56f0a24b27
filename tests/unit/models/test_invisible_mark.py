"""The mark on rendered photographs, through the files people keep pictures in."""

import io

import numpy as np
import pytest
from PIL import Image

from bodyworld.world.build import WorldConfig, build_world
from bolid_pipeline.models.invisible_mark import add_mark, count_mark_bits, has_mark


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Image.Image]:
    folder = tmp_path_factory.mktemp("world")
    build_world(WorldConfig(seed=5, num_identities=1, num_photos_per_identity=3), folder)
    return [Image.open(path).convert("RGB") for path in sorted(folder.rglob("*.jpg"))]


def _at(photo: Image.Image, side_px: int) -> Image.Image:
    return photo.resize((side_px, side_px), Image.Resampling.LANCZOS)


def _through(image: Image.Image, image_format: str, **options: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return Image.open(file)


@pytest.mark.parametrize("side_px", [64, 128, 512])
def test_the_mark_survives_png_at_all_sizes(photos: list[Image.Image], side_px: int) -> None:
    assert all(has_mark(_through(add_mark(_at(photo, side_px)), "PNG")) for photo in photos)


@pytest.mark.parametrize(("side_px", "quality"), [(128, 85), (256, 75), (512, 75)])
def test_the_mark_survives_jpeg(photos: list[Image.Image], side_px: int, quality: int) -> None:
    for photo in photos:
        assert has_mark(_through(add_mark(_at(photo, side_px)), "JPEG", quality=quality))


@pytest.mark.parametrize("side_px", [64, 128, 512])
def test_an_unmarked_photo_has_no_mark(photos: list[Image.Image], side_px: int) -> None:
    assert not any(has_mark(_at(photo, side_px)) for photo in photos)


def test_the_mark_is_hardly_there_to_the_eye(photos: list[Image.Image]) -> None:
    for photo in (_at(photo, 256) for photo in photos):
        grey, marked_grey = (np.asarray(image.convert("L"), np.float64) for image in (photo, add_mark(photo)))
        assert np.abs(grey - marked_grey).mean() < 1.5  # of 255 levels of brightness


def test_a_picture_without_room_is_left_as_it_is() -> None:
    tiny = Image.new("RGB", (48, 56), "grey")
    assert add_mark(tiny) is tiny
    assert count_mark_bits(tiny) == 0


def test_the_mark_does_not_survive_scaling(photos: list[Image.Image]) -> None:
    """Said in the docstring, so shown: no protection against somebody who wants it gone."""
    assert not has_mark(_at(add_mark(_at(photos[0], 256)), 200))
