"""A report on what the checkpoint can do, for people to look at."""

from collections.abc import Callable

import dagster as dg
import numpy as np

from assets import training
from assets.metadata import picture
from bolid_pipeline.evaluation import report
from bolid_pipeline.evaluation.config import EvaluationConfig
from bolid_pipeline.evaluation.data import CODE_VERSION, EvaluationData
from bolid_pipeline.images.decoding import LETTERBOX_GREY, Rgb, decode_many, decode_rgb
from bolid_pipeline.orchestration.fitting import open_training_data
from bolid_pipeline.orchestration.launchpad import overrides_of
from resources.deployments import Deployment
from resources.model_hub import ModelHub
from resources.table_store import DataStore


class EvaluationOverrides(overrides_of(EvaluationConfig)):
    """Settings of the report for this run. A field that is not set stays as the deployment says."""


@dg.asset(
    kinds={"diffusers", "html"},
    code_version=CODE_VERSION,
    deps=[training.bolid_checkpoint],
    pool="gpu",
)
def evaluation_report(
    config: EvaluationOverrides,
    store: DataStore,
    model_hub: ModelHub,
    deployment: dg.ResourceParam[Deployment],
) -> dg.MaterializeResult:
    """The loss curve, people drawn with and without their body, and measurements on held-out photos.

    Made only if its inputs or settings have changed.
    """
    settings = config.applied_to(deployment.evaluation)
    folder = store.reports / deployment.name
    data = EvaluationData(
        checkpoint=store.checkpoints / deployment.name,
        trained_on=open_training_data(store, model_hub),
        clip=model_hub.folder("clip"),
        latent_models=model_hub.latent_models(),
    )
    made_by = data.fingerprint(settings)
    is_known = report.is_up_to_date(folder, made_by)
    if not is_known:
        from bolid_pipeline.evaluation.evaluate import evaluate

        evaluate(settings, data, read_photo=_photo_reader(store), report_dir=folder)
    written = report.read_report(folder)
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.path(written.page),
            "changed_settings": config.changes(),
            "num_computed": int(not is_known),
            "num_up_to_date": int(is_known),
            **{name: picture(decode_rgb(png)) for name, png in written.figures.items()},
            **written.metrics,
        },
        data_version=dg.DataVersion(made_by),
    )


def _photo_reader(store: DataStore) -> Callable[[str], Rgb]:
    rows = store.kept_photos()
    path_of = dict(zip(rows["photo_id"].to_pylist(), rows["path"].to_pylist(), strict=True))

    def read(photo_id: str) -> Rgb:
        """The photo; a grey square, and a line in the log, if its file has been damaged since the crawl."""
        (image,) = decode_many(store.photos.read, [path_of[photo_id]])
        return np.full((512, 512, 3), LETTERBOX_GREY, np.uint8) if image is None else image

    return read
