from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolid_pipeline.curation.config import CurationConfig
from bolid_pipeline.curation.curate import REASONS, count_reasons, curate, kept_photos
from bolid_pipeline.curation.filters import FILTERS, PhotoFacts, reasons_against
from bolid_pipeline.errors import NotEnoughData
from bolid_pipeline.storage.schemas import SCHEMAS

CONFIG = CurationConfig(min_photos_per_identity=2)
GOOD: dict[str, Any] = {
    "width_px": 1000,
    "height_px": 1400,
    "watermark_prob": 0.5,
    "num_faces": 1,
    "num_persons": 1,
}
# One photo per reason, and nothing else wrong with it.
BAD: dict[str, dict[str, Any]] = {
    "other_source": {"is_of_other_source": True},
    "unreadable": {"watermark_prob": None, "num_faces": None, "num_persons": None},
    "too_small": {"width_px": 999},
    "photo_of_another_identity": {"is_shared": True},
    "watermarked": {"watermark_prob": 0.51},
    "no_person": {"num_persons": 0, "num_faces": 0},
    "several_persons": {"num_persons": 2},
    "several_faces": {"num_faces": 2},
}


def tables(facts):
    """The four tables that say `facts` about photos named 0, 1, 2 ..."""
    rows = [
        dict.fromkeys(SCHEMAS["raw_photos"].columns.names) | dict(fact, photo_id=str(i))
        for i, fact in enumerate(facts)
    ]

    def table(name):
        columns = SCHEMAS[name].columns
        return pa.Table.from_pylist([{k: row.get(k) for k in columns.names} for row in rows], columns)

    return table("raw_photos"), table("watermark_scores"), table("face_detections"), table("photo_clusters")


def curated_of(facts, config=CONFIG):
    photos, scores, detections, clusters = tables(facts)
    return curate(photos, scores, detections, config, clusters)


def reasons_of(facts):
    return curated_of(facts)["reasons"].to_pylist()


def test_the_closed_set_of_reasons():
    assert (*BAD, "too_few_photos") == REASONS
    assert tuple(FILTERS) == tuple(BAD)


@pytest.mark.parametrize("reason", BAD)
def test_each_filter_rejects_its_own_photo_and_no_other(reason):
    photo = PhotoFacts(**GOOD | BAD[reason])
    assert reasons_against(photo, CONFIG) == [reason]


def test_people_of_other_sources_are_kept_if_the_setting_says_so():
    photo = PhotoFacts(**GOOD | BAD["other_source"])
    assert reasons_against(photo, CurationConfig(use_other_sources=True)) == []


def test_a_photo_on_the_border_is_kept():
    assert reasons_against(PhotoFacts(**GOOD), CONFIG) == []


def test_no_face_is_fine_as_people_turn_round():
    turned_round: dict[str, Any] = GOOD | {"num_faces": 0}
    assert reasons_against(PhotoFacts(**turned_round), CONFIG) == []


def test_all_reasons_of_a_photo_are_told():
    facts = [GOOD | {"identity": "ann"}] * 2 + [GOOD | {"identity": "ann", "num_faces": 2, "height_px": 10}]
    assert reasons_of(facts) == [[], [], ["too_small", "several_faces"]]


def test_a_person_with_too_few_photos_left_goes_as_a_whole():
    facts = [
        GOOD | {"identity": "ann"},
        GOOD | {"identity": "bob"},
        GOOD | {"identity": "ann"},
        GOOD | {"identity": "bob", "num_persons": 0},
    ]
    assert reasons_of(facts) == [[], ["too_few_photos"], [], ["no_person"]]
    curated = curated_of(facts)
    assert curated["is_kept"].to_pylist() == [True, False, True, False]
    assert count_reasons(curated) == dict.fromkeys(REASONS, 0) | {"too_few_photos": 1, "no_person": 1}


def test_kept_photos_are_the_raw_rows_in_their_order():
    photos, scores, detections, _ = tables(
        [GOOD | {"identity": "ann"}, GOOD | {"identity": "bob"}, GOOD | {"identity": "ann"}]
    )
    kept = kept_photos(photos, curate(photos, scores, detections, CONFIG))
    assert kept["photo_id"].to_pylist() == ["0", "2"]
    assert kept.schema == photos.schema


def test_photos_without_scores_are_an_error():
    photos, scores, detections, _ = tables([GOOD | {"identity": "ann"}] * 2)
    with pytest.raises(NotEnoughData, match=r"1 photos .*materialise `watermark_scores`"):
        curate(photos, scores.slice(1), detections, CONFIG)


def test_no_photos_at_all():
    assert curated_of([]).num_rows == 0


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, *BAD])), max_size=12),
    st.integers(1, 4),
)
def test_verdicts_hold_together(photos, min_photos):
    facts = [GOOD | {"identity": identity} | BAD.get(reason, {}) for identity, reason in photos]
    curated = curated_of(facts, CurationConfig(min_photos_per_identity=min_photos)).to_pylist()
    kept = [row["identity"] for row in curated if row["is_kept"]]
    assert all(row["is_kept"] == (row["reasons"] == []) for row in curated)
    assert all(set(row["reasons"]) <= set(REASONS) for row in curated)
    assert all(kept.count(identity) >= min_photos for identity in kept)
