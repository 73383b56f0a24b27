"""What training reads: each kept photo as latents, plain and weighted by its keypoints."""

import dagster as dg
import numpy as np

from assets.captioning import captions
from assets.metadata import OWNERS, refresh_metadata
from assets.orphans import orphan_check
from assets.pose import poses
from bolid_pipeline.latents.cache import make_layout, open_latents, prepare_table
from bolid_pipeline.latents.fingerprints import latent_fingerprint
from bolid_pipeline.latents.selection import photos_with_pose
from bolid_pipeline.pose.fingerprints import pose_fingerprint
from bolid_pipeline.storage.incremental import Stage, refresh_table
from resources.compute_engine import ComputeEngine
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


@dg.asset(
    name="latents",
    group_name="latents",
    kinds={"huggingface", "parquet"},
    owners=OWNERS,
    code_version="1",
    deps=[poses],
    pool="gpu",
)
def latents_asset(
    store: DataStore,
    model_hub: ModelHub,
    compute_engine: ComputeEngine,
    deployment: dg.ResourceParam[Deployment],
) -> dg.MaterializeResult:
    """VAE latents of every kept photo and of the same photo weighted by its keypoints, and its CLIP embedding."""

    def make_stage() -> Stage:
        from bolid_pipeline.latents.stage import LatentStage

        device = compute_engine.torch_device
        return LatentStage(store.photos, models, layout, config, fingerprint=made_by, device=device)

    models, config = model_hub.latent_models(), deployment.latents
    layout = make_layout(models, config)
    tables = store.tables
    prepare_table(tables, layout)
    made_by = latent_fingerprint(
        models, config, pose_fingerprint(model_hub.file("pose_estimator").path, deployment.pose)
    )
    photos = photos_with_pose(store.kept_photos(), tables.read("poses"), config.min_keypoint_conf)
    report = refresh_table(tables, "latents", photos, make_stage, fingerprint=made_by)
    sizes = {str(bucket): shape for bucket, shape in layout.latent_shapes.items()}
    return dg.MaterializeResult(metadata={**refresh_metadata(report), "latent_shapes": sizes})


@dg.asset_check(asset="latents", blocking=True)
def latents_are_finite(store: DataStore, model_hub: ModelHub) -> dg.AssetCheckResult:
    """No latent, body latent or embedding holds a NaN or an infinity; the table is this base model's."""
    table = open_latents(store.tables, model_hub.latent_models())
    rows = range(len(table))
    is_finite = [
        np.isfinite(table.image_embeds[row]).all()
        and np.isfinite(table.latent(row)).all()
        and np.isfinite(table.body_latent(row)).all()
        for row in rows
    ]
    bad = [table.photo_ids[row] for row in rows if not is_finite[row]]
    return dg.AssetCheckResult(passed=not bad, metadata={"num_latents": len(rows), "not_finite": bad[:20]})


@dg.asset_check(asset="latents", blocking=True, additional_deps=[captions, poses])
def kept_photos_have_no_orphan_rows(store: DataStore, model_hub: ModelHub) -> dg.AssetCheckResult:
    """Captions, poses and latents are about kept photos, and about each of them."""
    open_latents(tables := store.tables, model_hub.latent_models())
    kept = set(store.kept_photos()["photo_id"].to_pylist())
    return orphan_check(tables, kept, ("captions", "poses", "latents"))
