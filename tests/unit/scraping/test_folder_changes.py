"""A folder of your own photos that changes: afterwards the tables say what the folder says, and nothing is lost."""

import shutil
import unicodedata

import pytest
from own_photos import TWO_PEOPLE, DecodeCount
from small_crawls import jpeg

from bolid_pipeline.scraping.own_photos import content


@pytest.fixture
def decoded(monkeypatch):
    count = DecodeCount(content.examine)
    monkeypatch.setattr(content, "examine", count)
    return count


def test_a_root_that_moves_again_and_again_keeps_every_photo_and_reads_none(own, tmp_path):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    for name in ("usb_photos", "nas/photos", "photos again"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        own.move_root(tmp_path / name)
        report = own.refresh()
        assert (report.photos_new, report.photos_known, report.photos_gone, report.requests) == (0, 8, 0, 0)
        assert not report.rejected
        own.check_as_fresh()


def test_a_root_copied_to_another_disk_is_read_and_not_decoded(own, tmp_path, decoded):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    shutil.copytree(own.root, tmp_path / "copy", copy_function=shutil.copy)
    own.root = tmp_path / "copy"
    assert own.refresh().photos_known == 8
    assert set(decoded.count_of.values()) == {1}
    own.check_as_fresh()


def test_files_renamed_and_sorted_into_folders_stay_and_are_not_decoded(own, decoded):
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
    own.check_as_fresh()


def test_a_photo_in_many_albums_is_stored_once(own):
    for album in ("Photos from 2024", "Best of", "Holiday"):
        own.add_all({f"pavel/{album}/{n}.jpg": n for n in range(4)})
    report = own.refresh()
    assert report.photos_new == 4
    assert report.rejected == {"duplicate_photo": 8}
    assert set(own.stored) == {f"pavel/Best%20of/{n}.jpg" for n in range(4)}
    shutil.rmtree(own.root / "pavel/Best of")
    assert own.refresh().photos_gone == 0
    assert set(own.stored) == {f"pavel/Holiday/{n}.jpg" for n in range(4)}
    own.check_as_fresh()


def test_a_renamed_person_takes_all_photos_along(own, decoded):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    own.move("hugo", "hugo_moreau")
    report = own.refresh()
    assert (report.photos_new, report.photos_known, report.photos_gone) == (0, 8, 0)
    assert own.statuses == {"hugo_moreau": "listed", "pavel": "listed"}
    assert sorted(own.stored.values()) == ["hugo_moreau"] * 4 + ["pavel"] * 4
    assert own.refused == {}
    assert set(decoded.count_of.values()) == {1}
    own.check_as_fresh()


def test_two_folders_of_one_person_are_merged(own):
    own.add_all({"hugo/1.jpg": 1, "hugo moreau/2.jpg": 2})
    own.refresh()
    own.move("hugo moreau/2.jpg", "hugo/2.jpg")
    (own.root / "hugo moreau").rmdir()
    own.refresh()
    assert own.stored == {"hugo/1.jpg": "hugo", "hugo/2.jpg": "hugo"}
    own.check_as_fresh()


def test_a_photo_put_right_under_another_person_is_theirs_without_a_doubt(own):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    own.move("hugo/0.jpg", "pavel/was hugo's.jpg")
    own.refresh()
    assert own.stored["pavel/was%20hugo%27s.jpg"] == "pavel"
    assert own.refused == {}
    own.check_as_fresh()


def test_a_photo_under_two_people_is_refused_to_the_second_until_it_is_gone_from_one(own):
    own.add_all(TWO_PEOPLE | {"anna/copy.jpg": 0})
    own.refresh()
    assert own.stored["anna/copy.jpg"] == "anna"
    assert own.refused == {"hugo/0.jpg": "photo_of_another_identity"}
    own.check_as_fresh()
    shutil.rmtree(own.root / "anna")
    report = own.refresh()
    assert (report.photos_new, report.photos_gone) == (0, 0)
    assert own.stored["hugo/0.jpg"] == "hugo"
    assert own.refused == {}
    own.check_as_fresh()


def test_an_edited_photo_replaces_the_old_one(own):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    own.add("hugo/0.jpg", 77)
    report = own.refresh()
    assert (report.photos_new, report.photos_known, report.photos_gone, report.requests) == (1, 7, 1, 1)
    own.check_as_fresh()


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


def test_a_photo_overwritten_by_what_is_none_goes_and_comes_back_when_it_is_restored(own):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    own.add("hugo/0.jpg", b"half a dow")
    assert own.refresh().rejected == {"not_a_picture": 1}
    assert "hugo/0.jpg" not in own.stored
    own.check_as_fresh()
    own.add("hugo/0.jpg", 0)
    own.refresh()
    assert own.refused == {}
    own.check_as_fresh()


def test_deleted_photos_and_people_are_gone_with_their_files(own):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    (own.root / "hugo/0.jpg").unlink()
    shutil.rmtree(own.root / "pavel")
    report = own.refresh()
    assert (report.photos_known, report.photos_gone) == (3, 5)
    assert "5 gone" in str(report)
    assert own.statuses == {"hugo": "listed"}
    assert len(own.rows("photo_pages", "page_url")) == 3
    own.check_as_fresh()


def test_a_refused_file_that_moves_is_not_looked_into_again(own, decoded):
    own.add_all({"hugo/1.jpg": 1, "hugo/notes.txt": b"no picture"})
    own.refresh()
    own.move("hugo/notes.txt", "hugo/texts/notes.txt")
    own.refresh()
    assert own.refused == {"hugo/texts/notes.txt": "not_a_picture"}
    assert set(decoded.count_of.values()) == {1}
    own.check_as_fresh()


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
    own.check_as_fresh()


def test_circles_of_links_end_and_no_folder_is_read_twice(own):
    own.add_all(TWO_PEOPLE | {"hugo/sub/9.jpg": 99})
    (own.root / "hugo/sub/up").symlink_to(own.root / "hugo")
    (own.root / "hugo/sub/root").symlink_to(own.root)
    (own.root / "hugo/sub/self").symlink_to(own.root / "hugo/sub")
    (own.root / "hugo/again").symlink_to(own.root / "hugo/sub")
    report = own.refresh()
    assert (report.photos_new, report.requests) == (9, 9)
    assert own.refused == {}
    own.check_as_fresh()


def test_folders_and_files_whose_names_are_no_utf_8_are_read(own):
    for n in range(3):
        own.add(b"hugo/foto_\xe9%d.jpg" % n, n)
    own.add(b"ren\xe9/1.jpg", 11)
    own.add("hugo/50%E9 off.jpg", 12)
    assert own.refresh().photos_new == 5
    assert own.refused == {}
    assert own.stored["hugo/foto_%E90.jpg"] == "hugo"
    assert own.stored["ren%E9/1.jpg"] == "ren%E9"
    assert own.stored["hugo/50%25E9%20off.jpg"] == "hugo"
    own.check_as_fresh()


def test_one_name_in_two_normal_forms_is_one_person(own):
    nfc, nfd = (unicodedata.normalize(form, "zoë_müller") for form in ("NFC", "NFD"))
    own.add_all({f"{nfc}/1.jpg": 1, f"{nfd}/2.jpg": 2, f"{nfd}/copy of 1.jpg": 1})
    own.refresh()
    assert own.statuses == {nfc: "listed"}
    assert set(own.stored.values()) == {nfc}
    assert list(own.refused.values()) == ["duplicate_photo"]
    shutil.rmtree(own.root / nfc)
    own.refresh()
    assert len(own.stored) == 2
    own.check_as_fresh()
