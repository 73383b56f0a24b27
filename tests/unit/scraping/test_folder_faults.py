"""A folder of your own photos that cannot be read in part, or holds what is no photo: nothing known is lost."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from own_photos import TWO_PEOPLE, OwnPhotos
from small_crawls import jpeg
from worker_processes import start_all_workers

from bolid_pipeline.errors import SourceUnreachable
from bolid_pipeline.scraping.sources.folder import FolderSource


@pytest.fixture
def unprivileged():
    """A folder of somebody who is not root, who may read everything."""
    start_all_workers()  # somebody else may not be allowed to start this Python
    user = os.geteuid()
    os.seteuid(user or 65534)
    with tempfile.TemporaryDirectory() as base:
        yield OwnPhotos(Path(base))
    os.seteuid(user)


@pytest.mark.parametrize("locked", ["hugo", "pavel/sub"])
def test_a_folder_that_may_not_be_read_keeps_what_is_known_of_it(unprivileged, locked):
    own = unprivileged
    own.add_all(TWO_PEOPLE | {"pavel/sub/9.jpg": 99})
    own.refresh()
    before = own.contents()
    (own.root / locked).chmod(0)
    report = own.refresh()
    (own.root / locked).chmod(0o755)
    assert (report.photos_known, report.photos_gone) == (9, 0)
    assert own.catalogue.failures == {"unreadable": 1}
    assert own.contents() == before


def test_a_new_persons_folder_that_may_not_be_read_is_unreachable_and_taken_later(unprivileged):
    own = unprivileged
    own.add_all(TWO_PEOPLE)
    (own.root / "pavel").chmod(0)
    own.refresh()
    assert own.statuses == {"hugo": "listed", "pavel": "unreachable"}
    (own.root / "pavel").chmod(0o755)
    assert own.refresh().photos_new == 4
    assert own.statuses == {"hugo": "listed", "pavel": "listed"}


def test_a_file_that_may_not_be_read_keeps_what_is_known_or_is_tried_again(unprivileged, caplog):
    own = unprivileged
    own.add_all(TWO_PEOPLE)
    own.refresh()
    changed, new = own.add("hugo/0.jpg", 70), own.add("hugo/new.jpg", 71)
    changed.chmod(0)
    new.chmod(0)
    for _ in range(2):
        report = own.refresh()
        assert report.rejected == {"unreadable": 2}
        assert own.refused == {"hugo/new.jpg": "unreadable"}
        assert "hugo/0.jpg cannot be read (Permission denied)" in caplog.text
        assert own.photos.read(dict(own.rows("raw_photos", "page_url", "path"))["hugo/0.jpg"]) == jpeg(0)
    changed.chmod(0o644)
    new.chmod(0o644)
    assert own.refresh().photos_new == 2
    assert own.refused == {}


def test_an_unplugged_disk_loses_nothing(own, tmp_path, caplog):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    before = own.contents()
    own.move_root(tmp_path / "elsewhere")
    (tmp_path / "photos").mkdir()
    own.root = tmp_path / "photos"
    for _ in range(2):
        with pytest.raises(SourceUnreachable, match="8 are known"):
            own.refresh()
    assert not caplog.messages
    assert own.contents() == before
    (own.root / "hugo").mkdir()
    with pytest.raises(SourceUnreachable, match="plug it in"):
        own.refresh()
    shutil.rmtree(own.root)
    with pytest.raises(SourceUnreachable, match="there is no folder"):
        FolderSource(own.root)
    assert own.contents() == before


def test_a_link_to_an_unplugged_disk_keeps_what_lies_there(own, tmp_path, caplog):
    own.add_all(TWO_PEOPLE | {"pavel/sub/9.jpg": 99})
    for name in ("hugo", "pavel/sub", "pavel/1.jpg"):
        target = tmp_path / name.replace("/", "_")
        (own.root / name).rename(target)
        (own.root / name).symlink_to(target)
    own.refresh()
    before = own.contents()
    for name in ("hugo", "pavel_sub", "pavel_1.jpg"):
        (tmp_path / name).rename(tmp_path / f"{name} unplugged")
    report = own.refresh()
    assert (report.photos_known, report.photos_gone) == (9, 0)
    assert own.catalogue.failures == {"unreadable": 3}
    assert "what is known of it is kept" in caplog.text
    assert own.contents() == before


def test_files_without_a_persons_folder_are_left_out_with_a_word_on_how_to_arrange_them(own, caplog):
    own.add_all({f"{n}.jpg": n for n in range(3)})
    own.refresh()
    assert "holds no person's folder; give each person a folder" in caplog.text
    assert "left out (3)" in caplog.text
    assert own.statuses == {}


def test_a_folder_without_anybody_sets_no_other_source_aside(own):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    before = own.contents()
    own.use(own.root / "hugo", own.data_dir)  # one level too deep
    own.refresh()
    assert own.statuses == {"hugo": "listed", "pavel": "listed"}
    assert own.contents() == before


def test_a_fifo_or_a_device_is_no_photo(own):
    own.add_all(TWO_PEOPLE)
    os.mkfifo(own.root / "hugo/pipe.jpg")
    (own.root / "hugo/null.jpg").symlink_to("/dev/zero")
    assert own.refresh().photos_new == 8
    assert own.refused == {}


def test_a_file_larger_than_the_limit_is_refused_unread(own):
    own.add_all(TWO_PEOPLE | {"hugo/film.mov": b"0" * 100_000})
    report = own.refresh(max_body_bytes=50_000)
    assert report.rejected == {"too_large": 1}
    assert report.bytes < 100_000


def test_a_budget_ends_a_refresh_that_the_next_one_finishes(own):
    own.add_all(TWO_PEOPLE)
    report = own.refresh(max_requests=3)
    assert report.photos_new == 3
    assert "max_requests=3" in report.stopped_by
    report = own.refresh()
    assert (report.photos_new, report.requests) == (5, 5)
    own.check_as_fresh()


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"max_body_bytes": 1000}, "too_large"),
        ({"max_pixels": 1000}, "too_many_pixels"),
        ({"min_side_px": 500}, "too_small"),
    ],
)
def test_photos_refused_by_a_limit_are_read_again_once_it_is_changed(own, limit, reason):
    own.add_all(TWO_PEOPLE)
    assert own.refresh(**limit).rejected == {reason: 8}
    assert own.refresh(**limit).requests == 0
    own.move("hugo/0.jpg", "hugo/moved.jpg")
    report = own.refresh()
    assert (report.photos_new, report.requests) == (8, 8)
    assert own.refused == {}
    assert own.refresh(**limit).photos_known == 8
