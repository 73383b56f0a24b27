"""The page of what the data set holds."""

import pytest
from photo_world import World

from bolid_pipeline.curation.curate import REASONS
from bolid_pipeline.overview.page import MAX_SHOWN
from bolid_pipeline.overview.reasons import REFUSALS, STATUSES, VERDICTS
from bolid_pipeline.scraping.outcomes import IDENTITY_STATUSES, REJECTION_REASONS


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_every_reason_and_status_has_its_words():
    assert set(REASONS) <= set(VERDICTS)
    assert set(REFUSALS) >= REJECTION_REASONS
    assert set(STATUSES) >= IDENTITY_STATUSES


def test_a_photo_is_shown_with_its_path_and_what_was_found_in_it(world):
    world.person("anna_bell", "anna bell")
    world.photo("anna_bell", "file:///home/me/photos/anna_bell/1.jpg")
    world.photo(
        "anna_bell", "file:///home/me/photos/anna_bell/am%20Meer/2.jpg", ["several_faces"], num_faces=2
    )
    world.photo("anna_bell", "file:///home/me/photos/anna_bell/3.jpg", ["too_small"], width_px=480)
    world.photo("anna_bell", "file:///home/me/photos/anna_bell/4.jpg", ["watermarked"], watermark_prob=0.97)
    said = world.text()
    assert "1 person from /home/me/photos: 1 photo kept , 3 rejected, 0 files refused" in said
    assert "/home/me/photos/anna_bell/am Meer/2.jpg several faces were found: 2" in said
    assert "too small: 480 x 1500 px, both sides need 640" in said
    assert "a watermark was found: probability 0.97, at most 0.9" in said
    assert "lower the setting curation.min_side_px" in said
    assert world.html().count("data:image/jpeg;base64,") == 4


def test_a_photo_with_several_reasons_says_them_all(world):
    world.photo("anna", "file:///p/anna/1.jpg", ["too_small", "several_persons"], width_px=100, num_persons=3)
    said = world.text()
    assert "100 x 1500 px, both sides need 640; several persons were found: 3" in said


def test_a_refused_file_is_listed_and_a_copy_names_its_original(world):
    photo_id, _ = world.photo("anna", "file:///p/anna/1.jpg")
    world.refusal("anna", "file:///p/anna/album/copy.jpg", "duplicate_photo", photo_id)
    world.refusal("anna", "file:///p/anna/notes.txt", "not_a_picture")
    said = world.text()
    assert "a copy of another photo of the person: 1" in said
    assert "/p/anna/album/copy.jpg as /p/anna/1.jpg" in said
    assert "no picture at all, such as a web page or a text: 1" in said
    assert "/p/anna/notes.txt" in said


def test_a_person_without_enough_photos_says_how_many_are_missing(world):
    for number in range(3):
        world.photo("anna", f"file:///p/anna/{number}.jpg", ["too_few_photos"])
    assert "good, but the person has 3 such photos and needs 8" in world.text()


def test_a_person_of_whom_nothing_was_taken_is_there_with_the_status(world):
    world.person("boris", status="too_few_photos")
    assert "boris 0 kept, 0 rejected, 0 refused too few photos." in world.text()


def test_photos_without_a_verdict_are_not_called_rejected(world):
    world.photo("anna", "file:///p/anna/1.jpg", None)
    said = world.text()
    assert "0 photos kept , 0 rejected, 0 files refused, 1 not judged yet" in said
    assert "Run the job dataset_refresh." in said


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a&b'"])
def test_names_and_paths_cannot_break_the_page(world, hostile):
    world.person(hostile, hostile)
    world.photo(hostile, f"file:///p/{hostile}/1.jpg")
    world.refusal(hostile, f"file:///p/{hostile}/2.jpg", "not_a_picture")
    page = world.html()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("<details") == 1


def test_what_cannot_be_seen_is_shown_as_escapes(world):
    world.photo("anna", "file:///p/anna/%E2%80%AEgpj.exe%1B.jpg")
    page = world.html()
    assert r"/p/anna/\u202egpj.exe\x1b.jpg" in page


def test_bytes_that_are_not_utf8_are_written_too(world):
    world.photo("anna", "file:///p/anna/foto_%E9.jpg")
    assert r"/p/anna/foto_\udce9.jpg" in world.text()


@pytest.mark.parametrize("address", ["http://[x", "//[::1/a.jpg", "%", "https://site.example/a%20b"])
def test_an_address_that_is_none_is_shown_as_it_is(world, address):
    world.photo("anna", address)
    assert address in world.html()


def test_a_photo_whose_file_is_gone_costs_its_picture_alone(world):
    world.photo("anna", "file:///p/anna/1.jpg")
    _, path = world.photo("anna", "file:///p/anna/2.jpg")
    (world.folder / path).unlink()
    page = world.html()
    assert page.count("data:image/jpeg") == 1
    assert "/p/anna/2.jpg" in page


def test_of_many_photos_some_are_shown_and_the_rest_is_counted(world):
    for number in range(MAX_SHOWN + 20):
        world.photo("anna", f"file:///p/anna/{number}.jpg")
        world.refusal("anna", f"file:///p/anna/{number}.txt", "not_a_picture")
    page = world.html()
    assert page.count("data:image/jpeg") == MAX_SHOWN
    assert page.count(".txt</li>") == MAX_SHOWN
    assert page.count("and 20 more") == 2


def test_the_page_is_written_again_only_if_it_would_say_something_else(world):
    world.photo("anna", "file:///p/anna/1.jpg")
    assert world.write()
    assert not world.write()
    world.refusal("anna", "file:///p/anna/2.jpg", "truncated")
    assert world.write()
    assert not world.write()
    assert world.write(min_side_px=100)


def test_a_data_folder_without_anything_makes_a_page_too(world):
    assert "0 people" in world.text()
