"""What each kept photo shows, in words."""

import dagster as dg

from assets.curation import curated_photos
from assets.metadata import OWNERS, refresh_metadata, spread
from bolid_pipeline.captioning.config import VlmConfig
from bolid_pipeline.captioning.fingerprints import caption_fingerprint
from bolid_pipeline.stages.refresh import Stage, refresh_table
from resources.compute_engine import ComputeEngine
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


@dg.asset(
    group_name="captioning",
    kinds={"huggingface", "parquet"},
    owners=OWNERS,
    code_version="1",
    deps=[curated_photos],
    pool="gpu",
)
def captions(
    store: DataStore,
    model_hub: ModelHub,
    compute_engine: ComputeEngine,
    deployment: dg.ResourceParam[Deployment],
) -> dg.MaterializeResult:
    """A caption per kept photo: sex, position of the body, face, clothes, a little background."""

    def make_stage() -> Stage:
        from bolid_pipeline.captioning.clip_attributes import ClipAttributeCaptioner
        from bolid_pipeline.captioning.stage import CaptionStage
        from bolid_pipeline.captioning.vlm import VlmCaptioner

        device = find_device()
        if isinstance(config, VlmConfig):
            return CaptionStage(photo_store, VlmCaptioner(folder, config, device), fingerprint=made_by)
        return CaptionStage(photo_store, ClipAttributeCaptioner(folder, config, device), fingerprint=made_by)

    photo_store, find_device = store.photos, compute_engine.find_device
    folder, config = model_hub.folder("captioner"), deployment.captioner
    made_by = caption_fingerprint(folder, config)
    report = refresh_table(
        store.tables,
        "captions",
        store.kept_photos(),
        make_stage,
        fingerprint=made_by,
        **compute_engine.batches,
    )
    shown = spread(store.tables.read("captions", ["caption"]), 8)["caption"].to_pylist()
    sample = "\n".join(f"- {caption}" for caption in shown)
    return dg.MaterializeResult(metadata={**refresh_metadata(report), "sample": dg.MetadataValue.md(sample)})
