import pyarrow as pa
import pytest

from bolid_pipeline.curation.checks import (
    every_kept_identity_has_enough_photos,
    every_kept_photo_shows_one_person,
    no_kept_photo_is_too_small,
    rows_are_of_the_photos,
)
from bolid_pipeline.storage.schemas import SCHEMAS


def rows(table, *facts):
    columns = SCHEMAS[table].columns
    return pa.Table.from_pylist([dict.fromkeys(columns.names) | fact for fact in facts], columns)


def photo(photo_id, identity="anna", width_px=1000, height_px=1400):
    return {"photo_id": photo_id, "identity": identity, "width_px": width_px, "height_px": height_px}


def detection(photo_id, num_persons=1, num_faces=1):
    return {"photo_id": photo_id, "num_persons": num_persons, "num_faces": num_faces}


def test_a_kept_photo_with_a_short_side_is_found():
    kept = rows("raw_photos", photo("a"), photo("b", height_px=999))
    outcome = no_kept_photo_is_too_small(kept, 1000)
    assert outcome.problem == "1 kept photos have a side below 1000 px: materialise `curated_photos`"
    assert outcome.examples == ["b"]
    assert outcome.numbers == {"smallest_side_px": 999, "min_side_px": 1000, "num_too_small": 1}


def test_photos_with_sides_of_exactly_the_minimum_are_large_enough():
    assert no_kept_photo_is_too_small(rows("raw_photos", photo("a")), 1000).passed


@pytest.mark.parametrize(
    "wrong", [detection("b", num_persons=2), detection("b", num_persons=0), detection("b", num_faces=2)]
)
def test_a_kept_photo_that_does_not_show_one_person_is_found(wrong):
    kept = rows("raw_photos", photo("a"), photo("b"))
    outcome = every_kept_photo_shows_one_person(kept, rows("face_detections", detection("a"), wrong))
    assert not outcome.passed
    assert outcome.examples == ["b"]


def test_a_kept_photo_that_was_never_looked_at_is_found():
    outcome = every_kept_photo_shows_one_person(rows("raw_photos", photo("a")), rows("face_detections"))
    assert outcome.examples == ["a"]


def test_a_person_seen_from_behind_is_one_person():
    kept, seen = rows("raw_photos", photo("a")), rows("face_detections", detection("a", num_faces=0))
    assert every_kept_photo_shows_one_person(kept, seen).passed


def test_what_is_seen_in_photos_that_are_not_kept_does_not_matter():
    seen = rows("face_detections", detection("a"), detection("group", num_persons=7))
    assert every_kept_photo_shows_one_person(rows("raw_photos", photo("a")), seen).passed


def test_a_kept_person_with_too_few_photos_is_named():
    kept = rows("raw_photos", photo("a"), photo("b"), photo("c", identity="boris"))
    outcome = every_kept_identity_has_enough_photos(kept, rows("curated_photos"), 2)
    assert outcome.problem == "1 kept people have fewer than 2 photos: materialise `curated_photos` again"
    assert outcome.examples == ["boris"]
    assert outcome.numbers == {"num_identities": 2, "fewest_photos": 1, "num_with_too_few": 1}


def rejected(*reasons, identities=("anna",)):
    """Verdicts on rejected photos, each with the reasons of one argument."""
    found = [
        {
            "photo_id": str(number),
            "identity": identities[number % len(identities)],
            "is_kept": False,
            "reasons": each,
        }
        for number, each in enumerate(reasons)
    ]
    return rows("curated_photos", *found)


def why_nobody_is_kept(verdicts):
    return str(every_kept_identity_has_enough_photos(rows("raw_photos"), verdicts, 8).problem)


def test_that_nothing_is_crawled_is_a_problem_with_a_way_out():
    assert why_nobody_is_kept(rejected()).startswith(
        "0 kept: no photo is stored, 8 of a person are needed. Crawl"
    )


def test_that_everything_is_refused_is_a_problem_with_the_reasons():
    outcome = every_kept_identity_has_enough_photos(
        rows("raw_photos"), rejected(), 8, ["truncated", "not_a_picture", "not_a_picture"]
    )
    assert outcome.problem == (
        "0 kept: no photo is stored, 8 of a person are needed. The crawl has refused not_a_picture (2), truncated (1); "
        "`bolid overview` shows why"
    )


def test_that_nobody_is_kept_is_a_problem_with_what_is_there_and_what_is_needed():
    assert why_nobody_is_kept(rejected(*[["too_few_photos"]] * 5, identities=("anna",))) == (
        "0 kept: 5 photos of 1 person, 8 needed of each. Rejected as too_few_photos (5); `bolid overview` shows "
        "them. Ways out: add photos of each person or set a lower curation.min_photos_per_identity"
    )


def test_the_ways_out_follow_from_the_reasons():
    said = why_nobody_is_kept(
        rejected(["watermarked"], ["other_source"], ["other_source"], identities=("anna", "boris"))
    )
    assert said.startswith(
        "0 kept: 3 photos of 2 people, 8 needed of each. Rejected as other_source (2), watermarked (1)"
    )
    assert "crawl their source again or set curation.use_other_sources" in said
    assert "set a higher curation.max_watermark_prob" in said
    assert "min_side_px" not in said


def test_people_with_enough_photos_pass():
    kept = rows("raw_photos", photo("a"), photo("b"))
    assert every_kept_identity_has_enough_photos(kept, rows("curated_photos"), 2).passed


def test_rows_of_photos_that_are_gone_and_photos_without_rows_are_counted_by_table():
    outcome = rows_are_of_the_photos(
        {"a", "b", "c"}, {"captions": ["a", "b", "c"], "poses": ["a", "b", "gone"]}
    )
    assert outcome.problem == (
        "rows of photos that are gone, or photos without a row, in poses: materialise it again"
    )
    assert outcome.numbers == {
        "num_photos": 3,
        "num_orphans_captions": 0,
        "num_missing_captions": 0,
        "num_orphans_poses": 1,
        "num_missing_poses": 1,
    }
    assert outcome.examples == ["gone", "c"]


def test_tables_about_exactly_the_photos_pass():
    assert rows_are_of_the_photos({"a"}, {"captions": ["a"], "poses": ["a"]}).passed
