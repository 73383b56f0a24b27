"""Which photos are kept: scores, detections, and a verdict with reasons."""

from collections import Counter

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from assets.metadata import OWNERS, counts_as_table, photo_sheet, refresh_metadata, spread
from assets.orphans import orphan_check
from assets.scraping import raw_photos
from bolid_pipeline.curation.curate import count_reasons, curate, kept_photos
from bolid_pipeline.curation.recipes import PeopleRecipe, WatermarkRecipe
from bolid_pipeline.stages.refresh import sync_table
from resources.compute_engine import ComputeEngine
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


@dg.asset(
    group_name="curation",
    kinds={"pytorch", "parquet"},
    owners=OWNERS,
    code_version=WatermarkRecipe.code_version,
    deps=[raw_photos],
    pool="gpu",
)
def watermark_scores(
    store: DataStore, model_hub: ModelHub, compute_engine: ComputeEngine
) -> dg.MaterializeResult:
    """The probability that a photo carries a watermark, by a ConvNeXt."""
    recipe = WatermarkRecipe(weights=model_hub.file("watermark_classifier"))
    report = compute_engine.refresh(store, recipe, store.tables.read("raw_photos"))
    return dg.MaterializeResult(metadata=refresh_metadata(report))


@dg.asset(
    group_name="curation",
    kinds={"yolo", "parquet"},
    owners=OWNERS,
    code_version=PeopleRecipe.code_version,
    deps=[raw_photos],
    pool="gpu",
)
def face_detections(
    store: DataStore,
    model_hub: ModelHub,
    compute_engine: ComputeEngine,
    deployment: dg.ResourceParam[Deployment],
) -> dg.MaterializeResult:
    """Faces and persons per photo; the persons catch those whose face is hidden."""
    recipe = PeopleRecipe(
        face_weights=model_hub.file("face_detector"),
        pose_weights=model_hub.file("pose_estimator"),
        config=deployment.people,
    )
    report = compute_engine.refresh(store, recipe, store.tables.read("raw_photos"))
    return dg.MaterializeResult(metadata=refresh_metadata(report))


@dg.asset(
    group_name="curation",
    kinds={"python", "parquet"},
    owners=OWNERS,
    code_version="1",
    deps=[raw_photos, watermark_scores, face_detections],
)
def curated_photos(store: DataStore, deployment: dg.ResourceParam[Deployment]) -> dg.MaterializeResult:
    """The verdict on every photo: kept, or every reason why not."""
    photos, scores, detections = map(store.tables.read, ("raw_photos", "watermark_scores", "face_detections"))
    clusters = store.tables.read("photo_clusters")
    verdicts = curate(photos, scores, detections, deployment.curation, clusters)
    report = sync_table(store.tables, "curated_photos", verdicts)
    rejected = spread(verdicts.filter(pc.invert(verdicts["is_kept"])), 16)
    return dg.MaterializeResult(
        metadata={
            **refresh_metadata(report),
            "num_kept": kept_photos(photos, verdicts).num_rows,
            "reject_reasons": counts_as_table("reason", count_reasons(verdicts)),
            "rejected": photo_sheet(
                store.photos,
                _paths(photos, rejected),
                [reasons[0] for reasons in rejected["reasons"].to_pylist()],
            ),
        }
    )


@dg.asset_check(asset=curated_photos, blocking=True)
def no_kept_photo_is_too_small(
    store: DataStore, deployment: dg.ResourceParam[Deployment]
) -> dg.AssetCheckResult:
    """Both sides of every kept photo have at least the deployment's minimum of pixels."""
    sizes = store.kept_photos().select(["width_px", "height_px"])
    smallest = min((min(row.values()) for row in sizes.to_pylist()), default=None)
    return dg.AssetCheckResult(
        passed=smallest is None or smallest >= deployment.curation.min_side_px,
        metadata={"smallest_side_px": smallest, "min_side_px": deployment.curation.min_side_px},
    )


@dg.asset_check(asset=curated_photos, blocking=True, additional_deps=[face_detections])
def every_kept_photo_shows_one_person(store: DataStore) -> dg.AssetCheckResult:
    """One person, and not more than one face."""
    kept = store.kept_photos()["photo_id"]
    rows = store.tables.read("face_detections", ["photo_id", "num_faces", "num_persons"])
    rows = rows.filter(pc.is_in(rows["photo_id"], value_set=kept.combine_chunks()))
    alone = rows.filter((pc.field("num_persons") == 1) & (pc.field("num_faces") <= 1))
    return dg.AssetCheckResult(passed=alone.num_rows == len(kept), metadata={"num_kept": len(kept)})


@dg.asset_check(asset=curated_photos, blocking=True)
def every_kept_identity_has_enough_photos(
    store: DataStore, deployment: dg.ResourceParam[Deployment]
) -> dg.AssetCheckResult:
    """Someone is kept, and nobody with fewer photos than the deployment's minimum."""
    counts = Counter(store.kept_photos()["identity"].to_pylist())
    fewest = min(counts.values(), default=0)
    return dg.AssetCheckResult(
        passed=fewest >= max(1, deployment.curation.min_photos_per_identity),
        metadata={"num_identities": len(counts), "fewest_photos": fewest},
    )


@dg.asset_check(asset=curated_photos, blocking=True, additional_deps=[watermark_scores, face_detections])
def curation_has_no_orphan_rows(store: DataStore) -> dg.AssetCheckResult:
    """Scores, detections and verdicts are about photos that are there, and about each of them."""
    photo_ids = set(store.tables.read("raw_photos", ["photo_id"])["photo_id"].to_pylist())
    return orphan_check(store.tables, photo_ids, ("watermark_scores", "face_detections", "curated_photos"))


def _paths(photos: pa.Table, rows: pa.Table) -> list[str]:
    path_of = dict(zip(photos["photo_id"].to_pylist(), photos["path"].to_pylist(), strict=True))
    return [path_of[photo_id] for photo_id in rows["photo_id"].to_pylist()]
