"""What the checkpoint can do, for people to look at."""

from collections.abc import Callable

import dagster as dg

from assets.metadata import OWNERS, picture
from assets.training import bolid_checkpoint
from bolid_pipeline.evaluation import report
from bolid_pipeline.evaluation.data import EvaluationData
from bolid_pipeline.images import Rgb, decode_rgb
from bolid_pipeline.orchestration.fitting import open_training_data
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


@dg.asset(
    group_name="evaluation",
    kinds={"diffusers", "html"},
    owners=OWNERS,
    code_version="2",
    deps=[bolid_checkpoint],
    pool="gpu",
)
def evaluation_report(
    store: DataStore, model_hub: ModelHub, deployment: dg.ResourceParam[Deployment]
) -> dg.MaterializeResult:
    """The loss curve, people drawn with and without their body, and what held-out photos say.

    Kept as it is where its inputs are the same.
    """
    config, folder = deployment.evaluation, store.reports / deployment.name
    data = EvaluationData(
        checkpoint=store.checkpoints / deployment.name,
        trained_on=open_training_data(store, model_hub),
        clip=model_hub.folder("clip"),
    )
    is_known = report.is_up_to_date(folder, data.fingerprint(config))
    if not is_known:
        from bolid_pipeline.evaluation.evaluate import evaluate

        evaluate(config, data, read_photo=_photo_reader(store), report_dir=folder)
    written = report.read_report(folder)
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.path(written.page),
            "num_computed": int(not is_known),
            "num_up_to_date": int(is_known),
            **{name: picture(decode_rgb(png)) for name, png in written.figures.items()},
            **written.metrics,
        }
    )


def _photo_reader(store: DataStore) -> Callable[[str], Rgb]:
    rows = store.kept_photos()
    path_of = dict(zip(rows["photo_id"].to_pylist(), rows["path"].to_pylist(), strict=True))
    return lambda photo_id: decode_rgb(store.photos.read(path_of[photo_id]))
