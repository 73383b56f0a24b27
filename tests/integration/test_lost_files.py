"""Photo files that were lost from the data folder: the next refresh brings them back."""

import shutil
from pathlib import Path

import pytest
from fault_server import FaultySite, gallery
from own_photos import TWO_PEOPLE, OwnPhotos
from small_crawls import Crawl, bodies, jpeg

from bolid_pipeline.errors import TableError


def lose_one(crawl: Crawl | OwnPhotos) -> str:
    """Delete the file of one stored photo; its path."""
    path: str = min(crawl.tables.read("raw_photos")["path"].to_pylist())
    crawl.photos.delete(path)
    return path


def test_a_lost_file_is_fetched_from_the_site_again_and_nothing_else_is(crawl: Crawl) -> None:
    with FaultySite(gallery({name: jpeg(n) for n, name in enumerate("abc")})) as site:
        crawl.run(site)
        before = crawl.rows("raw_photos", "photo_id", "page_url", "path")
        lose_one(crawl)
        site.log.clear()
        assert crawl.run(site).photos_new == 1
        assert len(bodies(site)) == 1
    assert crawl.rows("raw_photos", "photo_id", "page_url", "path") == before
    assert len(crawl.stored) == 3


def test_a_lost_file_is_read_from_the_folder_again(tmp_path: Path) -> None:
    own = OwnPhotos(tmp_path)
    own.add_all(TWO_PEOPLE)
    own.refresh()
    path = lose_one(own)
    assert own.refresh().photos_new == 1
    assert own.photos.is_whole(path)


def test_a_missing_photo_store_costs_no_row(crawl: Crawl) -> None:
    with FaultySite(gallery({name: jpeg(n) for n, name in enumerate("abc")})) as site:
        crawl.run(site)
        photos = crawl.data_dir / "photos"
        photos.rename(crawl.data_dir / "elsewhere")
        with pytest.raises(TableError, match=r"none of the 3 photos .* put the folder back"):
            crawl.run(site)
        shutil.move(crawl.data_dir / "elsewhere", photos)
        assert crawl.run(site).photos_new == 0
    assert len(crawl.stored) == 3
