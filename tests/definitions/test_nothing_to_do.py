"""Nothing to do is a result: every asset and check at 0 photos, and where no photo is kept."""

from datetime import UTC, datetime

import dagster as dg
import pytest
from table_rows import caption, detection, score

from assets import captioning, curation, latents, pose, scraping, training
from bolid_pipeline.errors import NotEnoughData
from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.tables import TableStore
from resources.compute_engine import ComputeEngine
from resources.deployments import demo
from resources.model_hub import model_hub_of
from resources.table_store import DataStore

STAGES = [
    curation.watermark_scores,
    curation.face_detections,
    curation.photo_clusters,
    curation.curated_photos,
    captioning.captions,
    pose.poses,
    latents.latents,
]
CHECKS = [
    scraping.every_photo_has_its_file,
    curation.no_kept_photo_is_too_small,
    curation.every_kept_photo_shows_one_person,
    curation.every_kept_identity_has_enough_photos,
    curation.curation_has_no_orphan_rows,
    pose.every_kept_photo_has_a_pose,
    latents.latents_are_whole,
    latents.kept_photos_have_no_orphan_rows,
]
WATERMARKED = "0" * 64


@pytest.fixture
def resources(tmp_path):
    deployment = demo(tmp_path)
    return {
        "store": DataStore(data_dir=str(tmp_path)),
        "deployment": deployment,
        "model_hub": model_hub_of(deployment),
        "compute_engine": ComputeEngine(device="cpu"),
    }


@pytest.fixture
def tables(tmp_path):
    return TableStore(tmp_path)


def row(table, **values):
    return dict.fromkeys(SCHEMAS[table].columns.names) | values


def add_one_rejected_photo(tables):
    """A photo that the curation rejects, with rows that a refresh before has left in every table."""
    photo = row("raw_photos", photo_id=WATERMARKED, identity="anna", path="photos/00/none.jpg")
    photo |= {"width_px": 2000, "height_px": 2000, "fetched_at": datetime.now(UTC)}
    hashes = dict.fromkeys(("perceptual_hash", "mirrored_hash"), "0" * 64)
    tables.append("raw_photos", [photo | hashes])
    tables.append("watermark_scores", [score(WATERMARKED, 0.99)])
    tables.append("face_detections", [detection(WATERMARKED)])
    verdict = {"photo_id": WATERMARKED, "identity": "anna", "is_kept": False, "reasons": ["watermarked"]}
    tables.append("curated_photos", [verdict])
    tables.append("captions", [caption(WATERMARKED)])
    tables.append("poses", [row("poses", photo_id=WATERMARKED, model_fingerprint="a")])


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.key.to_user_string())
def test_a_stage_without_photos_makes_an_empty_table(stage, resources, tables):
    assert dg.materialize([stage], resources=resources).success
    assert tables.count(stage.key.to_user_string()) == 0


@pytest.mark.parametrize(
    "stage", [captioning.captions, pose.poses, latents.latents], ids=lambda stage: stage.key.to_user_string()
)
def test_a_stage_of_which_nothing_is_kept_drops_its_rows(stage, resources, tables):
    add_one_rejected_photo(tables)
    (made,) = dg.materialize([stage], resources=resources).asset_materializations_for_node(
        stage.node_def.name
    )
    assert made.metadata["dagster/row_count"].value == 0
    assert tables.count(stage.key.to_user_string()) == 0


@pytest.mark.parametrize("is_anything_stored", [False, True])
def test_the_data_set_of_nobody_fails_the_one_check_that_says_so(
    is_anything_stored, resources, tables, caplog
):
    if is_anything_stored:
        add_one_rejected_photo(tables)
    before_the_rest = [*STAGES[3:], *CHECKS[1:]]
    done = dg.materialize(before_the_rest, resources=resources, raise_on_error=False)
    failed = {step.step_key for step in done.get_step_failure_events()}
    assert failed == {"curated_photos_every_kept_identity_has_enough_photos"}
    assert "0 kept: " in caplog.text
    assert "pyarrow" not in caplog.text


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: next(iter(check.check_keys)).name)
def test_every_check_but_that_one_passes_on_nothing(check, resources):
    needed = {name: resources[name] for name in check.required_resource_keys if name in resources}
    outcome = check(**needed)
    assert outcome.passed == (check is not curation.every_kept_identity_has_enough_photos)


@pytest.mark.parametrize("is_anything_stored", [False, True])
def test_training_on_nobody_says_so_in_one_line(is_anything_stored, resources, tables):
    if is_anything_stored:
        add_one_rejected_photo(tables)
    with pytest.raises(NotEnoughData, match="no latents in"):
        dg.materialize([training.bolid_checkpoint], resources=resources)
