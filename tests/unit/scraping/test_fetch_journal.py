import time
from pathlib import Path

import pytest

from bolid_pipeline.scraping.fetch_journal import FetchedPhoto, FetchJournal, ReadPage, RefusedFile
from bolid_pipeline.storage.photos import PhotoStore


def fetched(photos: PhotoStore, data: bytes) -> FetchedPhoto:
    photo_id, path = photos.address(data, "jpg")
    return FetchedPhoto(
        page_url=f"https://gallery.example/{data.decode()}",
        source_url="https://gallery.example/file.jpg",
        photo_id=photo_id,
        path=path,
        width_px=10,
        height_px=20,
        size_bytes=len(data),
        content_type="image/jpeg",
        perceptual_hash="0" * 64,
        mirrored_hash="f" * 64,
    )


def test_the_next_crawl_knows_what_was_fetched_and_what_was_no_photo(tmp_path):
    photos = PhotoStore(tmp_path)
    photo = fetched(photos, b"one")
    killed = FetchJournal(tmp_path, photos)
    assert killed.is_empty
    killed.add(photo)
    photos.add(b"one", "jpg")
    killed.add(RefusedFile(source_url="https://gallery.example/bad.jpg", reason="truncated"))

    journal = FetchJournal(tmp_path, photos)
    assert not journal.is_empty
    assert journal.photo(photo.page_url, ()) == photo
    assert journal.photo("https://gallery.example/other", ()) is None
    assert journal.refusal("https://gallery.example/bad.jpg") == "truncated"
    assert journal.refusal(photo.source_url) is None


@pytest.mark.parametrize(("hours", "is_known"), [(1, True), (25, False)])
def test_the_next_crawl_knows_for_a_day_what_a_page_has_shown(tmp_path, hours, is_known):
    photos = PhotoStore(tmp_path)
    urls = ("https://gallery.example/original.jpg", "https://gallery.example/resized.jpg")
    read_at = time.time() - 3600 * hours
    FetchJournal(tmp_path, photos).add(ReadPage(page_url="https://p", picture_urls=urls, read_at=read_at))
    journal = FetchJournal(tmp_path, photos)
    assert journal.picture_urls("https://p") == (urls if is_known else ())
    assert journal.picture_urls("https://other") == ()
    assert journal.photo("https://p", ()) is None


def test_a_photo_whose_file_was_not_written_is_fetched_again_unless_it_was_a_placeholder(tmp_path):
    photos = PhotoStore(tmp_path)
    photo = fetched(photos, b"one")
    FetchJournal(tmp_path, photos).add(photo)
    journal = FetchJournal(tmp_path, photos)
    assert journal.photo(photo.page_url, ()) is None
    assert journal.photo(photo.page_url, {photo.photo_id}) == photo


def test_a_line_that_a_kill_has_cut_spoils_neither_the_lines_before_nor_after(tmp_path: Path):
    photos = PhotoStore(tmp_path)
    one, two = fetched(photos, b"one"), fetched(photos, b"two")
    photos.add(b"one", "jpg")
    photos.add(b"two", "jpg")
    FetchJournal(tmp_path, photos).add(one)
    with (tmp_path / "fetched.jsonl").open("a") as file:
        file.write('{"page_url": "https://gall')
    FetchJournal(tmp_path, photos).add(two)
    journal = FetchJournal(tmp_path, photos)
    assert [journal.photo(photo.page_url, ()) for photo in (one, two)] == [one, two]


@pytest.fixture
def two_left_over(tmp_path):
    photos = PhotoStore(tmp_path)
    pair = fetched(photos, b"one"), fetched(photos, b"two")
    for photo, data in zip(pair, (b"one", b"two"), strict=True):
        FetchJournal(tmp_path, photos).add(photo)
        photos.add(data, "jpg")
    return photos, *pair


def test_a_crawl_that_is_about_others_leaves_what_it_did_not_settle(tmp_path, two_left_over):
    photos, one, two = two_left_over
    FetchJournal(tmp_path, photos).close({one.page_url})
    journal = FetchJournal(tmp_path, photos)
    assert [journal.photo(photo.page_url, ()) for photo in (one, two)] == [None, two]
    journal.close({one.page_url, two.page_url})
    assert FetchJournal(tmp_path, photos).is_empty
    assert not (tmp_path / "fetched.jsonl").exists()


def test_what_is_discarded_leaves_no_file_but_the_kept_ones(tmp_path, two_left_over):
    photos, one, two = two_left_over
    FetchJournal(tmp_path, photos).discard({one.path})
    assert [photos.is_whole(photo.path) for photo in (one, two)] == [True, False]
    assert FetchJournal(tmp_path, photos).is_empty


@pytest.mark.parametrize("left", [b"", b"on"], ids=["nothing", "a part"])
def test_a_file_that_a_power_cut_has_shortened_is_fetched_and_written_again(tmp_path, left):
    photos = PhotoStore(tmp_path)
    photo = fetched(photos, b"one")
    FetchJournal(tmp_path, photos).add(photo)
    photos.write(photo.path, b"one")
    (tmp_path / photo.path).write_bytes(left)
    assert FetchJournal(tmp_path, photos).photo(photo.page_url, ()) is None
    photos.write(photo.path, b"one")
    assert FetchJournal(tmp_path, photos).photo(photo.page_url, ()) == photo
    assert photos.read(photo.path) == b"one"
