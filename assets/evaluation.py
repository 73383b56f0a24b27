"""What the checkpoint can do, for people to look at."""

import dagster as dg

from assets.metadata import OWNERS, picture
from assets.training import bolid_checkpoint
from bolid_pipeline.images import decode_rgb
from bolid_pipeline.latents.cache import open_latents
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


@dg.asset(
    group_name="evaluation",
    kinds={"diffusers", "html"},
    owners=OWNERS,
    code_version="1",
    deps=[bolid_checkpoint],
    pool="gpu",
)
def evaluation_report(
    store: DataStore, model_hub: ModelHub, deployment: dg.ResourceParam[Deployment]
) -> dg.MaterializeResult:
    """The loss curve, people drawn with and without their body, and what held-out photos say."""
    from bolid_pipeline.evaluation.evaluate import evaluate

    rows = store.kept_photos()
    path_of = dict(zip(rows["photo_id"].to_pylist(), rows["path"].to_pylist(), strict=True))
    evaluation = evaluate(
        deployment.evaluation,
        checkpoint=store.checkpoints / deployment.name,
        base_model=model_hub.folder("base_model"),
        latents=open_latents(store.tables, model_hub.latent_models()),
        captions=store.captions(),
        read_photo=lambda photo_id: decode_rgb(store.photos.read(path_of[photo_id])),
        report_dir=store.reports / deployment.name,
        clip=model_hub.folder("clip"),
    )
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.path(evaluation.report),
            "samples": picture(decode_rgb(evaluation.sample_grid_png)),
            "losses": picture(decode_rgb(evaluation.loss_curve_png)),
            **evaluation.metrics,
        }
    )
