"""Where each kept person's body is in the photo."""

import dagster as dg
import pyarrow.compute as pc

from assets.curation import curated_photos
from assets.metadata import OWNERS, refresh_metadata, skeleton_sheet, spread
from bolid_pipeline.pose.recipe import PoseRecipe
from resources.compute_engine import ComputeEngine
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


@dg.asset(
    group_name="pose",
    kinds={"yolo", "parquet"},
    owners=OWNERS,
    code_version=PoseRecipe.code_version,
    deps=[curated_photos],
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
    recipe = PoseRecipe(weights=model_hub.file("pose_estimator"), config=deployment.pose)
    report = compute_engine.refresh(store, recipe, photos)
    sample = skeleton_sheet(store.photos, spread(photos, 16), store.tables.read("poses"))
    return dg.MaterializeResult(metadata={**refresh_metadata(report), "sample": sample})


@dg.asset_check(asset=poses, blocking=True)
def every_kept_photo_has_a_pose(store: DataStore) -> dg.AssetCheckResult:
    """A box and keypoints for each kept photo."""
    rows = store.tables.read("poses", ["photo_id", "person_box"])
    with_pose = set(rows.filter(pc.field("person_box").is_valid())["photo_id"].to_pylist())
    without = [
        photo_id for photo_id in store.kept_photos()["photo_id"].to_pylist() if photo_id not in with_pose
    ]
    return dg.AssetCheckResult(
        passed=not without, metadata={"num_poses": len(with_pose), "without_pose": without[:20]}
    )
