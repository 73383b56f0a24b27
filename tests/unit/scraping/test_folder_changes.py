"""A folder of your own photos that changes: afterwards the tables say what the folder says, and nothing is lost."""

import os
import shutil
import unicodedata

import pytest
from own_photos import DecodeCount, OwnPhotos
from small_crawls import jpeg

from bolid_pipeline.errors import SourceUnreachable
from bolid_pipeline.scraping.own_photos import content
from bolid_pipeline.scraping.sources.folder import FolderSource

TWO_PEOPLE = {f"{person}/{n}.jpg": 10 * p + n for p, person in enumerate(("hugo", "pavel")) for n in range(4)}


@pytest.fixture
def own(tmp_path):
    return OwnPhotos(tmp_path)


@pytest.fixture
def decoded(monkeypatch):
    count = DecodeCount(content.examine)
    monkeypatch.setattr(content, "examine", count)
    return count


def check_as_fresh(own, tmp_path):
    assert own.contents() == own.fresh_contents(tmp_path / "fresh")


def test_a_root_that_moves_again_and_again_keeps_every_photo_and_reads_none(own, tmp_path):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    for name in ("usb_photos", "nas/photos", "photos again"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        own.move_root(tmp_path / name)
        report = own.refresh()
        assert (report.photos_new, report.photos_known, report.photos_gone, report.requests) == (0, 8, 0, 0)
        assert not report.rejected
        check_as_fresh(own, tmp_path)


def test_a_root_copied_to_another_disk_is_read_and_not_decoded(own, tmp_path, decoded):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    shutil.copytree(own.root, tmp_path / "copy", copy_function=shutil.copy)
    own.root = tmp_path / "copy"
    assert own.refresh().photos_known == 8
    assert set(decoded.count_of.values()) == {1}
    check_as_fresh(own, tmp_path)


def test_files_renamed_and_sorted_into_folders_stay_and_are_not_decoded(own, tmp_path, decoded):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    for n in range(4):
        own.move(f"hugo/{n}.jpg", f"hugo/n{n:03}.jpg")
    own.refresh()
    for n in range(3):
        own.move(f"hugo/n{n:03}.jpg", f"hugo/beach/n{n:03}.jpg")
    report = own.refresh()
    assert (report.photos_new, report.photos_known, report.photos_gone) == (0, 8, 0)
    assert "hugo/beach/n000.jpg" in own.stored
    assert own.refused == {}
    assert set(decoded.count_of.values()) == {1}
    check_as_fresh(own, tmp_path)


def test_a_photo_in_many_albums_is_stored_once(own, tmp_path):
    for album in ("Photos from 2024", "Best of", "Holiday"):
        own.add_all({f"pavel/{album}/{n}.jpg": n for n in range(4)})
    report = own.refresh()
    assert report.photos_new == 4
    assert report.rejected == {"duplicate_photo": 8}
    assert set(own.stored) == {f"pavel/Best%20of/{n}.jpg" for n in range(4)}
    shutil.rmtree(own.root / "pavel/Best of")
    assert own.refresh().photos_gone == 0
    assert set(own.stored) == {f"pavel/Holiday/{n}.jpg" for n in range(4)}
    check_as_fresh(own, tmp_path)


def test_a_renamed_person_takes_all_photos_along(own, tmp_path, decoded):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    own.move("hugo", "hugo_moreau")
    report = own.refresh()
    assert (report.photos_new, report.photos_known, report.photos_gone) == (0, 8, 0)
    assert own.statuses == {"hugo_moreau": "listed", "pavel": "listed"}
    assert sorted(own.stored.values()) == ["hugo_moreau"] * 4 + ["pavel"] * 4
    assert own.refused == {}
    assert set(decoded.count_of.values()) == {1}
    check_as_fresh(own, tmp_path)


def test_two_folders_of_one_person_are_merged(own, tmp_path):
    own.add_all({"hugo/1.jpg": 1, "hugo moreau/2.jpg": 2})
    own.refresh()
    own.move("hugo moreau/2.jpg", "hugo/2.jpg")
    (own.root / "hugo moreau").rmdir()
    own.refresh()
    assert own.stored == {"hugo/1.jpg": "hugo", "hugo/2.jpg": "hugo"}
    check_as_fresh(own, tmp_path)


def test_a_photo_put_right_under_another_person_is_theirs_without_a_doubt(own, tmp_path):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    own.move("hugo/0.jpg", "pavel/was hugo's.jpg")
    own.refresh()
    assert own.stored["pavel/was%20hugo%27s.jpg"] == "pavel"
    assert own.refused == {}
    check_as_fresh(own, tmp_path)


def test_a_photo_under_two_people_is_refused_to_the_second_until_it_is_gone_from_one(own, tmp_path):
    own.add_all(TWO_PEOPLE | {"anna/copy.jpg": 0})
    own.refresh()
    assert own.stored["anna/copy.jpg"] == "anna"
    assert own.refused == {"hugo/0.jpg": "photo_of_another_identity"}
    check_as_fresh(own, tmp_path)
    shutil.rmtree(own.root / "anna")
    report = own.refresh()
    assert (report.photos_new, report.photos_gone) == (0, 0)
    assert own.stored["hugo/0.jpg"] == "hugo"
    assert own.refused == {}
    check_as_fresh(own, tmp_path)


def test_an_edited_photo_replaces_the_old_one(own, tmp_path):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    own.add("hugo/0.jpg", 77)
    report = own.refresh()
    assert (report.photos_new, report.photos_known, report.photos_gone, report.requests) == (1, 7, 1, 1)
    check_as_fresh(own, tmp_path)


def test_an_edited_photo_is_planned_in_a_dry_run_and_read_whatever_the_limit(own):
    from bolid_pipeline.scraping.crawler import crawl_catalogue, plan_photos

    own.add_all(TWO_PEOPLE)
    own.refresh(max_photos_per_identity=2)
    own.add("hugo/0.jpg", 77)
    source = own.source(max_photos_per_identity=2)
    crawl_catalogue(source, own.tables)
    plan = plan_photos(own.tables, source.bounds, source.label)
    assert [(person.identity, person.num_wanted) for person in plan.people] == [("hugo", 1), ("pavel", 0)]
    own.refresh(max_photos_per_identity=2)
    assert own.photos.read(dict(own.rows("raw_photos", "page_url", "path"))["hugo/0.jpg"]) == jpeg(77)
    assert sorted(own.stored) == ["hugo/0.jpg", "hugo/1.jpg", "pavel/0.jpg", "pavel/1.jpg"]


def test_a_photo_overwritten_by_what_is_none_goes_and_comes_back_when_it_is_restored(own, tmp_path):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    own.add("hugo/0.jpg", b"half a dow")
    assert own.refresh().rejected == {"not_a_picture": 1}
    assert "hugo/0.jpg" not in own.stored
    check_as_fresh(own, tmp_path)
    own.add("hugo/0.jpg", 0)
    own.refresh()
    assert own.refused == {}
    check_as_fresh(own, tmp_path)


def test_deleted_photos_and_people_are_gone_with_their_files(own, tmp_path):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    (own.root / "hugo/0.jpg").unlink()
    shutil.rmtree(own.root / "pavel")
    report = own.refresh()
    assert (report.photos_known, report.photos_gone) == (3, 5)
    assert "5 gone" in str(report)
    assert own.statuses == {"hugo": "listed"}
    assert len(own.rows("photo_pages", "page_url")) == 3
    check_as_fresh(own, tmp_path)


def test_a_refused_file_that_moves_is_not_looked_into_again(own, tmp_path, decoded):
    own.add_all({"hugo/1.jpg": 1, "hugo/notes.txt": b"no picture"})
    own.refresh()
    own.move("hugo/notes.txt", "hugo/texts/notes.txt")
    own.refresh()
    assert own.refused == {"hugo/texts/notes.txt": "not_a_picture"}
    assert set(decoded.count_of.values()) == {1}
    check_as_fresh(own, tmp_path)


@pytest.mark.parametrize("linked", ["pavel", "pavel/1.jpg", "pavel/sub", "."])
def test_links_to_people_photos_and_folders_are_followed(own, tmp_path, linked):
    own.add_all(TWO_PEOPLE | {"pavel/sub/9.jpg": 99})
    pool = tmp_path / "pool"
    (own.root / linked).rename(pool)
    (own.root / linked).symlink_to(pool)
    report = own.refresh()
    assert report.photos_new == 9
    assert not report.rejected
    assert own.catalogue.failures == {}
    check_as_fresh(own, tmp_path)


def test_circles_of_links_end_and_no_folder_is_read_twice(own, tmp_path):
    own.add_all(TWO_PEOPLE | {"hugo/sub/9.jpg": 99})
    (own.root / "hugo/sub/up").symlink_to(own.root / "hugo")
    (own.root / "hugo/sub/root").symlink_to(own.root)
    (own.root / "hugo/sub/self").symlink_to(own.root / "hugo/sub")
    (own.root / "hugo/again").symlink_to(own.root / "hugo/sub")
    report = own.refresh()
    assert (report.photos_new, report.requests) == (9, 9)
    assert own.refused == {}
    check_as_fresh(own, tmp_path)


def test_folders_and_files_whose_names_are_no_utf_8_are_read(own, tmp_path):
    for n in range(3):
        own.add(b"hugo/foto_\xe9%d.jpg" % n, n)
    own.add(b"ren\xe9/1.jpg", 11)
    own.add("hugo/50%E9 off.jpg", 12)
    assert own.refresh().photos_new == 5
    assert own.refused == {}
    assert own.stored["hugo/foto_%E90.jpg"] == "hugo"
    assert own.stored["ren%E9/1.jpg"] == "ren%E9"
    assert own.stored["hugo/50%25E9%20off.jpg"] == "hugo"
    check_as_fresh(own, tmp_path)


def test_one_name_in_two_normal_forms_is_one_person(own, tmp_path):
    nfc, nfd = (unicodedata.normalize(form, "zoë_müller") for form in ("NFC", "NFD"))
    own.add_all({f"{nfc}/1.jpg": 1, f"{nfd}/2.jpg": 2, f"{nfd}/copy of 1.jpg": 1})
    own.refresh()
    assert own.statuses == {nfc: "listed"}
    assert set(own.stored.values()) == {nfc}
    assert list(own.refused.values()) == ["duplicate_photo"]
    shutil.rmtree(own.root / nfc)
    own.refresh()
    assert len(own.stored) == 2
    check_as_fresh(own, tmp_path)


def test_an_unplugged_disk_loses_nothing(own, tmp_path):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    before = own.contents()
    own.move_root(tmp_path / "elsewhere")
    (tmp_path / "photos").mkdir()
    own.root = tmp_path / "photos"
    for _ in range(2):
        with pytest.raises(SourceUnreachable, match="8 are known"):
            own.refresh()
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


def test_photos_that_a_folder_of_the_same_people_holds_are_told_from_a_moved_root(own, tmp_path):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    other = OwnPhotos(tmp_path, "other")
    other.add_all({"anna/1.jpg": 501, "hugo/1.jpg": 502, "anna/shared.jpg": 0})
    other.refresh()
    assert other.catalogue.failures == {"name_taken": 1}
    assert other.statuses == {"anna": "listed", "hugo": "other_source", "pavel": "other_source"}
    assert other.stored["anna/shared.jpg"] == "anna"
    assert len(other.stored) == 9
    own.refresh()
    assert own.statuses == {"anna": "other_source", "hugo": "listed", "pavel": "listed"}
    assert own.stored["hugo/0.jpg"] == "hugo"
    shutil.rmtree(own.root / "hugo")
    own.refresh()
    other.refresh()
    assert other.stored["anna/shared.jpg"] == "anna"
    assert other.statuses == {"anna": "listed", "hugo": "listed", "pavel": "other_source"}


def test_people_whom_a_run_leaves_out_stay_as_they_are(own):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    (own.root / "hugo/0.jpg").unlink()
    own.add("hugo/new.jpg", 50)
    own.add("pavel/new.jpg", 51)
    own.refresh(included_identities=frozenset({"pavel"}))
    assert "hugo/0.jpg" in own.stored
    assert "pavel/new.jpg" in own.stored
    own.refresh(min_photos=6)
    assert len(own.stored) == 8
    own.refresh(max_photos_per_identity=2)
    assert len(own.stored) == 8
    own.refresh()
    assert "hugo/new.jpg" in own.stored


def test_files_without_a_persons_folder_are_left_out_with_a_word_on_how_to_arrange_them(own, caplog):
    own.add_all({f"{n}.jpg": n for n in range(3)})
    own.refresh()
    assert "holds no person's folder; give each person a folder" in caplog.text
    assert "left out (3)" in caplog.text
    assert own.statuses == {}


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


def test_a_budget_ends_a_refresh_that_the_next_one_finishes(own, tmp_path):
    own.add_all(TWO_PEOPLE)
    report = own.refresh(max_requests=3)
    assert report.photos_new == 3
    assert "max_requests=3" in report.stopped_by
    report = own.refresh()
    assert (report.photos_new, report.requests) == (5, 5)
    check_as_fresh(own, tmp_path)
