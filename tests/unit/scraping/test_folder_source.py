"""A folder of your own photos: what is taken from it, and what is said of the rest."""

import io
from pathlib import Path

import numpy as np
import pytest
from own_photos import OwnPhotos
from PIL import Image

from bolid_pipeline.errors import SourceUnreachable
from bolid_pipeline.scraping.own_photos.walk import path_of
from bolid_pipeline.scraping.sources.folder import FolderSource


def picture(seed: int, kind: str) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, kind)
    return target.getvalue()


@pytest.fixture
def own(tmp_path: Path) -> OwnPhotos:
    own = OwnPhotos(tmp_path)
    own.add_all(
        {
            "anna_bell/1 (a)+b%.jpg": picture(1, "JPEG"),
            "anna_bell/holiday/2.png": picture(2, "PNG"),
            "anna_bell/wrong extension.jpg": picture(3, "WEBP"),
            "anna_bell/notes.txt": b"not a photo",
            "anna_bell/.DS_Store": b"hidden",
            "boris/only.jpg": picture(4, "JPEG"),
            "nobody/.keep": b"",
            "stray.jpg": picture(5, "JPEG"),
        }
    )
    return own


def test_a_folder_is_crawled_like_a_site(own):
    report = own.refresh(min_photos=2)
    assert own.catalogue.identities == {"listed": 1, "too_few_photos": 1, "empty": 1}
    assert (report.photos_new, report.rejected) == (3, {"not_a_picture": 1})
    rows = own.tables.read("raw_photos").to_pylist()
    assert {row["content_type"] for row in rows} == {"image/jpeg", "image/png", "image/webp"}
    assert {Path(row["path"]).suffix for row in rows} == {".jpg", ".png", ".webp"}
    assert {row["page_url"] for row in rows} == {
        "anna_bell/1%20%28a%29%2Bb%25.jpg",
        "anna_bell/holiday/2.png",
        "anna_bell/wrong%20extension.jpg",
    }

    again = own.refresh(min_photos=2)
    assert (again.photos_new, again.photos_known, again.requests) == (0, 3, 0)


def test_a_missing_folder_is_a_clear_error(tmp_path):
    with pytest.raises(SourceUnreachable, match="one folder per person"):
        FolderSource(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "page_url", ["../secret", "anna/../../secret", "/etc/passwd", "anna/%2E%2E/%2E%2E/secret"]
)
def test_only_files_inside_are_read(tmp_path, page_url):
    with pytest.raises(ValueError, match="outside"):
        path_of(tmp_path, page_url)
