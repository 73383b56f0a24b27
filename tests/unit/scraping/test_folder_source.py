"""A folder of your own photos, through the same crawl."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bolid_pipeline.errors import DownloadFailed, SourceUnreachable
from bolid_pipeline.records import PhotoPage
from bolid_pipeline.scraping.config import CrawlBounds
from bolid_pipeline.scraping.crawler import crawl_catalogue, crawl_photos
from bolid_pipeline.scraping.sources.folder import FolderSource
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore


def picture(seed: int, kind: str) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, kind)
    return target.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "anna_bell/1 (a)+b%.jpg": picture(1, "JPEG"),
        "anna_bell/holiday/2.png": picture(2, "PNG"),
        "anna_bell/wrong extension.jpg": picture(3, "WEBP"),
        "anna_bell/notes.txt": b"not a photo",
        "anna_bell/.DS_Store": b"hidden",
        "boris/only.jpg": picture(4, "JPEG"),
        "nobody/.keep": b"",
        "stray.jpg": picture(5, "JPEG"),
    }
    for name, data in files.items():
        (tmp_path / "people" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "people" / name).write_bytes(data)
    return tmp_path / "people"


def test_a_folder_is_crawled_like_a_site(folder, tmp_path):
    tables, photos = TableStore(tmp_path / "data"), PhotoStore(tmp_path / "data")
    source = FolderSource(folder, CrawlBounds(min_photos=2))
    assert crawl_catalogue(source, tables).identities == {"listed": 1, "too_few_photos": 1, "empty": 1}
    report = crawl_photos(source, tables, photos)
    assert (report.photos_new, report.rejected) == (3, {"not_a_picture": 1})
    rows = tables.read("raw_photos").to_pylist()
    assert {row["content_type"] for row in rows} == {"image/jpeg", "image/png", "image/webp"}
    assert {Path(row["path"]).suffix for row in rows} == {".jpg", ".png", ".webp"}

    again = crawl_photos(source, tables, photos)
    assert (again.photos_new, again.photos_known, again.requests) == (0, 3, 0)


def test_a_missing_folder_is_a_clear_error(tmp_path):
    with pytest.raises(SourceUnreachable, match="one folder per person"):
        FolderSource(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "reason"), [("../../secret", "foreign_host"), ("people/x/gone.jpg", "not_found")]
)
def test_only_files_inside_are_read(folder, name, reason):
    url = f"file://{folder.parent}/{name}"
    with pytest.raises(DownloadFailed) as failure:
        FolderSource(folder).download(url, PhotoPage(identity="x", page_url=url))
    assert failure.value.reason == reason
