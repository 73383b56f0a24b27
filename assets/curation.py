"""Selection of the photos to keep: scores, detections, and a verdict with reasons."""

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from assets import scraping
from assets.checks import check_result
from assets.metadata import (
    counts_as_numbers,
    photo_sheet,
    refresh_metadata,
    rows_version,
    spread,
    stage_version,
)
from bolid_pipeline.curation import checks
from bolid_pipeline.curation.curate import count_reasons, curate, kept_photos
from bolid_pipeline.curation.near_duplicates import refresh_clusters
from bolid_pipeline.curation.recipes import PeopleRecipe, WatermarkRecipe
from bolid_pipeline.scraping.origins import people_set_aside
from bolid_pipeline.stages.refresh import sync_table
from resources.compute_engine import ComputeEngine
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


@dg.asset(
    kinds={"pytorch", "parquet"},
    code_version=WatermarkRecipe.code_version,
    deps=[scraping.raw_photos],
    pool="gpu",
)
def watermark_scores(
    store: DataStore, model_hub: ModelHub, compute_engine: ComputeEngine
) -> dg.MaterializeResult:
    """The probability that a photo carries a watermark, by a ConvNeXt."""
    recipe = WatermarkRecipe(weights=model_hub.file("watermark_classifier"))
    photos = store.tables.read("raw_photos")
    report = compute_engine.refresh(store, recipe, photos)
    return dg.MaterializeResult(
        metadata=refresh_metadata(report), data_version=stage_version(photos, recipe.fingerprint)
    )


@dg.asset(
    kinds={"pytorch", "parquet"},
    code_version=PeopleRecipe.code_version,
    deps=[scraping.raw_photos],
    pool="gpu",
)
def face_detections(
    store: DataStore,
    model_hub: ModelHub,
    compute_engine: ComputeEngine,
    deployment: dg.ResourceParam[Deployment],
) -> dg.MaterializeResult:
    """Faces and persons per photo; counting persons finds those whose face is hidden."""
    recipe = PeopleRecipe(
        face_weights=model_hub.weights("face_detector"),
        person_weights=model_hub.weights("person_detector"),
        config=deployment.people,
    )
    photos = store.tables.read("raw_photos")
    report = compute_engine.refresh(store, recipe, photos)
    return dg.MaterializeResult(
        metadata=refresh_metadata(report), data_version=stage_version(photos, recipe.fingerprint)
    )


@dg.asset(
    kinds={"python", "parquet"},
    code_version="1",
    deps=[scraping.raw_photos, scraping.rejected_downloads],
)
def photo_clusters(store: DataStore, deployment: dg.ResourceParam[Deployment]) -> dg.MaterializeResult:
    """Groups of near-duplicate photos, and pictures that several people's galleries show."""
    left_out = set[str]() if deployment.curation.use_other_sources else people_set_aside(store.tables)
    report = refresh_clusters(store.tables, left_out)
    clusters = store.tables.read("photo_clusters")
    return dg.MaterializeResult(
        metadata={
            **refresh_metadata(report),
            "num_shared": clusters.filter(pc.field("is_shared")).num_rows,
        },
        data_version=rows_version(clusters, ["photo_id", "cluster_id", "is_shared"]),
    )


@dg.asset(
    kinds={"python", "parquet"},
    code_version="1",
    deps=[scraping.raw_photos, watermark_scores, face_detections, photo_clusters],
)
def curated_photos(store: DataStore, deployment: dg.ResourceParam[Deployment]) -> dg.MaterializeResult:
    """The verdict on every photo: kept, or every reason why not."""
    photos, scores, detections = map(store.tables.read, ("raw_photos", "watermark_scores", "face_detections"))
    clusters = store.tables.read("photo_clusters")
    verdicts = curate(
        photos, scores, detections, deployment.curation, clusters, people_set_aside(store.tables)
    )
    report = sync_table(store.tables, "curated_photos", verdicts)
    rejected = spread(verdicts.filter(pc.invert(verdicts["is_kept"])), 16)
    return dg.MaterializeResult(
        metadata={
            **refresh_metadata(report),
            "num_kept": kept_photos(photos, verdicts).num_rows,
            **counts_as_numbers("num_rejected", count_reasons(verdicts)),
            "overview": dg.MetadataValue.path(store.write_overview(deployment)),
            "rejected": photo_sheet(
                store.photos,
                _paths(photos, rejected),
                [reasons[0] for reasons in rejected["reasons"].to_pylist()],
            ),
        },
        data_version=rows_version(verdicts, ["photo_id", "identity", "is_kept", "reasons"]),
    )


@dg.asset_check(asset=curated_photos, blocking=True)
def no_kept_photo_is_too_small(
    store: DataStore, deployment: dg.ResourceParam[Deployment]
) -> dg.AssetCheckResult:
    """Both sides of every kept photo have at least the deployment's minimum of pixels."""
    min_side_px = deployment.curation.min_side_px
    return check_result(checks.no_kept_photo_is_too_small(store.kept_photos(), min_side_px))


@dg.asset_check(asset=curated_photos, blocking=True, additional_deps=[face_detections])
def every_kept_photo_shows_one_person(store: DataStore) -> dg.AssetCheckResult:
    """Every kept photo shows one person, and at most one face."""
    detections = store.tables.read("face_detections", ["photo_id", "num_faces", "num_persons"])
    return check_result(checks.every_kept_photo_shows_one_person(store.kept_photos(), detections))


@dg.asset_check(asset=curated_photos, blocking=True)
def every_kept_identity_has_enough_photos(
    store: DataStore, deployment: dg.ResourceParam[Deployment]
) -> dg.AssetCheckResult:
    """At least one person is kept, and everyone kept has at least the deployment's minimum of photos."""
    verdicts = store.tables.read("curated_photos")
    refused = store.tables.read("rejected_downloads", ["reason"])["reason"].to_pylist()
    min_photos = deployment.curation.min_photos_per_identity
    return check_result(
        checks.every_kept_identity_has_enough_photos(store.kept_photos(), verdicts, min_photos, refused)
    )


@dg.asset_check(asset=curated_photos, blocking=True, additional_deps=[watermark_scores, face_detections])
def curation_has_no_orphan_rows(store: DataStore) -> dg.AssetCheckResult:
    """Scores, detections and verdicts exist for every stored photo and for no other."""
    rows_of = {
        table: store.photo_ids(table) for table in ("watermark_scores", "face_detections", "curated_photos")
    }
    return check_result(checks.rows_are_of_the_photos(store.photo_ids("raw_photos"), rows_of))


def _paths(photos: pa.Table, rows: pa.Table) -> list[str]:
    path_of = dict(zip(photos["photo_id"].to_pylist(), photos["path"].to_pylist(), strict=True))
    return [path_of[photo_id] for photo_id in rows["photo_id"].to_pylist()]
