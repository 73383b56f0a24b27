"""Body poses in the kept photos."""

import dagster as dg

from assets import curation
from assets.checks import check_result
from assets.metadata import refresh_metadata, skeleton_sheet, spread, stage_version
from bolid_pipeline.pose import checks
from bolid_pipeline.pose.recipe import PoseRecipe
from resources.compute_engine import ComputeEngine
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


@dg.asset(
    kinds={"pytorch", "parquet"},
    code_version=PoseRecipe.code_version,
    deps=[curation.curated_photos],
    pool="gpu",
)
def poses(
    store: DataStore,
    model_hub: ModelHub,
    compute_engine: ComputeEngine,
    deployment: dg.ResourceParam[Deployment],
) -> dg.MaterializeResult:
    """17 COCO keypoints and the box of each kept person, in pixels of the photo."""
    photos = store.kept_photos()
    recipe = PoseRecipe(
        weights=model_hub.weights("pose_estimator"),
        person_weights=model_hub.weights("person_detector"),
        config=deployment.pose,
    )
    report = compute_engine.refresh(store, recipe, photos)
    sample = skeleton_sheet(store.photos, spread(photos, 16), store.tables.read("poses"))
    return dg.MaterializeResult(
        metadata={**refresh_metadata(report), "sample": sample},
        data_version=stage_version(photos, recipe.fingerprint),
    )


@dg.asset_check(asset=poses, blocking=True)
def every_kept_photo_has_a_pose(store: DataStore) -> dg.AssetCheckResult:
    """Each kept photo has a box and keypoints."""
    return check_result(checks.every_kept_photo_has_a_pose(store.kept_photos(), store.tables.read("poses")))
