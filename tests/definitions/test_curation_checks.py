"""The checks of the curation as Dagster runs them, on a data set of which nobody is kept."""

from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import pytest

from assets import curation
from bolid_pipeline.curation.config import CurationConfig
from bolid_pipeline.curation.curate import REASONS
from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.tables import TableStore
from resources.deployments import demo
from resources.table_store import DataStore

CHECKS = [
    curation.no_kept_photo_is_too_small,
    curation.every_kept_photo_shows_one_person,
    curation.every_kept_identity_has_enough_photos,
    curation.curation_has_no_orphan_rows,
]
PHOTO = {
    "photo_id": "0" * 64,
    "identity": "anna",
    "source_url": "https://gallery.example/1.jpg",
    "page_url": "https://gallery.example/1",
    "path": "photos/00/none.jpg",
    "width_px": 64,
    "height_px": 64,
    "size_bytes": 1,
    "content_type": "image/jpeg",
    "perceptual_hash": "0",
    "mirrored_hash": "0",
    "fetched_at": datetime(2026, 1, 1, tzinfo=UTC),
}


@pytest.fixture
def done(tmp_path, request):
    """The curation of a store with these photos, and its checks."""
    tables = TableStore(tmp_path)
    for photo in request.param:
        of_photo = {"photo_id": photo["photo_id"], "model_fingerprint": "0"}
        tables.append("raw_photos", [photo])
        tables.append("watermark_scores", [{**of_photo, "watermark_prob": 0.0}])
        tables.append("face_detections", [{**of_photo, "num_faces": 1, "num_persons": 1, "faces": []}])
    return dg.materialize(
        [curation.curated_photos, *CHECKS],
        resources={"store": DataStore(data_dir=str(tmp_path)), "deployment": demo(tmp_path)},
        raise_on_error=False,
    )


@pytest.mark.parametrize("done", [[], [PHOTO]], indirect=True, ids=["no photo", "one small photo"])
def test_that_nobody_is_kept_fails_one_check_which_says_what_to_do(done):
    found = {check.check_name: check for check in done.get_asset_check_evaluations()}
    assert {name: check.passed for name, check in found.items()} == {
        "no_kept_photo_is_too_small": True,
        "every_kept_photo_shows_one_person": True,
        "every_kept_identity_has_enough_photos": False,
        "curation_has_no_orphan_rows": True,
    }
    said = found["every_kept_identity_has_enough_photos"].description
    assert said.startswith("0 kept: ")
    assert "8 needed of each" in said or "8 of a person are needed" in said


@pytest.mark.parametrize("done", [[PHOTO]], indirect=True)
def test_rejections_are_numbers_that_dagster_plots(done):
    (made,) = done.asset_materializations_for_node("curated_photos")
    numbers = {name: value.value for name, value in made.metadata.items() if name.startswith("num_rejected_")}
    assert numbers == {f"num_rejected_{reason}": int(reason == "too_small") for reason in REASONS}
    assert made.tags["dagster/data_version"]


@pytest.mark.parametrize("use_other_sources", [False, True])
def test_people_of_another_source_stay_and_are_not_kept_unless_the_setting_says_so(
    tmp_path, use_other_sources
):
    tables = TableStore(tmp_path)
    names = {"anna": "other_source", "boris": "listed"}
    for number, (name, status) in enumerate(names.items()):
        photo_id = str(number) * 64
        of_photo = {"photo_id": photo_id, "model_fingerprint": "0"}
        photo = {
            "photo_id": photo_id,
            "identity": name,
            "perceptual_hash": "0" * 64,
            "mirrored_hash": "0" * 64,
        }
        person = dict.fromkeys(SCHEMAS["identity_catalogue"].columns.names) | {
            "identity": name,
            "name": name,
            "status": status,
        }
        tables.append("identity_catalogue", [person])
        tables.append("raw_photos", [PHOTO | photo])
        tables.append("watermark_scores", [{**of_photo, "watermark_prob": 0.0}])
        tables.append("face_detections", [{**of_photo, "num_faces": 1, "num_persons": 1, "faces": []}])
    limits = CurationConfig(min_side_px=1, min_photos_per_identity=1, use_other_sources=use_other_sources)
    resources = {
        "store": DataStore(data_dir=str(tmp_path)),
        "deployment": replace(demo(tmp_path), curation=limits),
    }
    dg.materialize([curation.photo_clusters, curation.curated_photos], resources=resources)
    verdicts = tables.read("curated_photos", ["identity", "reasons"]).to_pylist()
    # The two show the same picture: a doubt only if both are used.
    assert {row["identity"]: row["reasons"] for row in verdicts} == (
        {name: ["photo_of_another_identity"] for name in names}
        if use_other_sources
        else {"anna": ["other_source"], "boris": []}
    )
