"""Captions of the kept photos."""

import dagster as dg

from assets import curation
from assets.metadata import refresh_metadata, spread, stage_version
from bolid_pipeline.captioning.recipe import CaptionRecipe
from bolid_pipeline.names import as_markdown
from resources.compute_engine import ComputeEngine
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


@dg.asset(
    kinds={"huggingface", "parquet"},
    code_version=CaptionRecipe.code_version,
    deps=[curation.curated_photos],
    pool="gpu",
)
def captions(
    store: DataStore,
    model_hub: ModelHub,
    compute_engine: ComputeEngine,
    deployment: dg.ResourceParam[Deployment],
) -> dg.MaterializeResult:
    """A caption per kept photo: sex, position of the body, face, clothes, a little background."""
    recipe = CaptionRecipe(model=model_hub.folder("captioner"), config=deployment.captioner)
    photos = store.kept_photos()
    report = compute_engine.refresh(store, recipe, photos)
    shown = spread(store.tables.read("captions", ["caption"]), 8)["caption"].to_pylist()
    sample = "\n".join(f"- {as_markdown(caption)}" for caption in shown)
    return dg.MaterializeResult(
        metadata={**refresh_metadata(report), "sample": dg.MetadataValue.md(sample)},
        data_version=stage_version(photos, recipe.fingerprint),
    )
