"""The input of training: each kept photo as latents, plain and weighted by its keypoints."""

import dagster as dg

from assets import captioning, pose
from assets.checks import check_result
from assets.metadata import refresh_metadata, stage_version
from bolid_pipeline.curation.checks import rows_are_of_the_photos
from bolid_pipeline.latents.cache import stored_layout, verify_latents
from bolid_pipeline.latents.checks import latents_are_finite
from bolid_pipeline.latents.recipe import LatentRecipe
from bolid_pipeline.latents.selection import photos_with_pose
from resources.compute_engine import ComputeEngine
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


@dg.asset(
    kinds={"huggingface", "parquet"},
    code_version=LatentRecipe.code_version,
    deps=[pose.poses],
    pool="gpu",
)
def latents(
    store: DataStore,
    model_hub: ModelHub,
    compute_engine: ComputeEngine,
    deployment: dg.ResourceParam[Deployment],
) -> dg.MaterializeResult:
    """VAE latents of every kept photo and of the same photo weighted by its keypoints, and its CLIP embedding."""
    config, found = deployment.latents, store.tables.read("poses")
    photos = photos_with_pose(store.kept_photos(), found, config.min_keypoint_conf)
    recipe = LatentRecipe.from_poses(found, models=model_hub.latent_models(), config=config)
    report = compute_engine.refresh(store, recipe, photos)
    body_report = compute_engine.refresh(store, recipe.body, photos)
    return dg.MaterializeResult(
        metadata={
            **refresh_metadata(report),
            "num_body_latents_redone": body_report.num_computed,
            "latent_shapes": {str(bucket): shape for bucket, shape in recipe.layout.latent_shapes.items()},
        },
        data_version=stage_version(photos, *recipe.fingerprints.values(), copied=recipe.copied_columns),
    )


@dg.asset_check(asset=latents, blocking=True)
def latents_are_whole(store: DataStore, model_hub: ModelHub) -> dg.AssetCheckResult:
    """Every page has its checksum, nothing is NaN or infinite, and the table is this base model's."""
    if store.tables.parts("latents"):
        stored_layout(store.tables, model_hub.latent_models())
    not_finite = verify_latents(store.tables)
    return check_result(latents_are_finite(store.tables.count("latents"), not_finite))


@dg.asset_check(asset=latents, blocking=True, additional_deps=[captioning.captions, pose.poses])
def kept_photos_have_no_orphan_rows(store: DataStore) -> dg.AssetCheckResult:
    """Captions, poses and latents exist for every kept photo and for no other."""
    rows_of = {table: store.photo_ids(table) for table in ("captions", "poses", "latents")}
    return check_result(rows_are_of_the_photos(store.kept_photos()["photo_id"].to_pylist(), rows_of))
