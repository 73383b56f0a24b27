"""What training reads: each kept photo as latents, plain and weighted by its keypoints."""

import dagster as dg

from assets.captioning import captions
from assets.metadata import OWNERS, refresh_metadata
from assets.orphans import orphan_check
from assets.pose import poses
from bolid_pipeline.latents.cache import stored_layout, verify_latents
from bolid_pipeline.latents.recipe import LatentRecipe
from bolid_pipeline.latents.selection import photos_with_pose
from resources.compute_engine import ComputeEngine
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


@dg.asset(
    group_name="latents",
    kinds={"huggingface", "parquet"},
    owners=OWNERS,
    code_version=LatentRecipe.code_version,
    deps=[poses],
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
        }
    )


@dg.asset_check(asset=latents, blocking=True)
def latents_are_whole(store: DataStore, model_hub: ModelHub) -> dg.AssetCheckResult:
    """Every page has its checksum, nothing is NaN or infinite, and the table is this base model's."""
    stored_layout(store.tables, model_hub.latent_models())
    not_finite = verify_latents(store.tables)
    return dg.AssetCheckResult(
        passed=not not_finite,
        metadata={"num_latents": store.tables.count("latents"), "not_finite": not_finite[:20]},
    )


@dg.asset_check(asset=latents, blocking=True, additional_deps=[captions, poses])
def kept_photos_have_no_orphan_rows(store: DataStore) -> dg.AssetCheckResult:
    """Captions, poses and latents are about kept photos, and about each of them."""
    kept = set(store.kept_photos()["photo_id"].to_pylist())
    return orphan_check(store.tables, kept, ("captions", "poses", "latents"))
