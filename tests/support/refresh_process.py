"""`dataset_refresh` over small photos, each in a separate process that can be killed at a chosen moment."""

import os
import tempfile
import traceback
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import fork_server
from ray_nodes import WatchedEngine, dying_ray_cluster
from stage_watch import Moment, StageWatch

from bolid_pipeline.captioning.config import ClipCaptionConfig
from bolid_pipeline.curation.config import CurationConfig
from bolid_pipeline.definitions import STAGES as MODULES
from bolid_pipeline.storage.location import locate
from resources.compute_engine import ComputeEngine
from resources.deployments import demo
from resources.model_hub import model_hub_of
from resources.photo_source import WebSource
from resources.table_store import DataStore


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """A refresh that has ended."""

    exit_code: int
    stages: list[str]
    """Stages in the order of the process's first write to each; the one it was killed in comes again at the end."""
    output: str


def run_refresh(
    data_dir: Path | str,
    site_url: str,
    kill_at: Moment | None = None,
    *,
    log: Path | None = None,
    on_ray: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Refresh:
    """Run one refresh in a separate process and wait for its end; the names of its log files begin with `log`."""
    log = log or Path(data_dir)
    stages, output, batches = (
        log.with_name(f"{log.name}.{kind}") for kind in ("stages", "output", "batches")
    )
    process = fork_server.start(
        _refresh_or_die,
        str(data_dir),
        site_url,
        kill_at,
        stages,
        batches if on_ray else None,
        output=output,
        environment=environment,
    )
    process.join()
    assert process.exitcode is not None
    return Refresh(
        exit_code=process.exitcode,
        stages=stages.read_text().split(),
        output=output.read_text(errors="replace"),
    )


def _refresh_or_die(
    data_dir: str, site_url: str, kill_at: Moment | None, stages: Path, batches: Path | None
) -> None:
    watch = StageWatch(stages, kill_at)
    watch.install()
    try:
        with dying_ray_cluster(batches) if batches else nullcontext() as ray:
            _refresh(data_dir, site_url, ray)
    except Exception:  # noqa: BLE001 - see below
        traceback.print_exc()
        os._exit(1)
    watch.finish()
    os._exit(0)  # an orderly end would take all modules down again, for seconds


def _refresh(data_dir: str, site_url: str, ray: dict[str, Any] | None) -> None:
    """Refresh with commits of two photos, one photo at a time, so that equal work gives equal bits."""
    feeding: dict[str, Any] = {"device": "cpu", "photos_per_batch": 1, "photos_per_commit": 2}
    deployment = demo(locate(data_dir))
    deployment = replace(
        deployment,
        crawl=replace(
            deployment.crawl,
            base_url=site_url,
            min_photos=1,
            photos_per_commit=2,
            requests_per_second=1e6,
            max_retries=0,
        ),
        curation=CurationConfig(min_side_px=64, min_photos_per_identity=1, max_watermark_prob=1.0),
        captioner=ClipCaptionConfig(num_contexts=1),
    )
    # The page that the curation writes needs a folder of this machine.
    local_dir = tempfile.mkdtemp() if "://" in data_dir else None
    graph: list[Any] = [*dg.load_assets_from_modules(MODULES), *dg.load_asset_checks_from_modules(MODULES)]
    dg.materialize(
        graph,
        selection=dg.AssetSelection.assets("captions", "latents").upstream(),
        resources={
            "store": DataStore(data_dir=data_dir, local_dir=local_dir),
            "photo_source": WebSource(base_url=site_url),
            "model_hub": model_hub_of(deployment),
            "compute_engine": WatchedEngine(**feeding, **ray) if ray else ComputeEngine(**feeding),
            "deployment": deployment,
        },
    )
