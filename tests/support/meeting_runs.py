"""Definitions of a step that holds the store, and the pool of the models, until the file `may_end` is there.

Only the first run waits: it leaves the file `started`, with its process's number.
"""

import os
import time
from pathlib import Path

import dagster as dg

from bolid_pipeline.definitions import nightly_dataset_refresh
from resources.table_store import DataStore


@dg.asset(pool="gpu")
def model_step(store: DataStore) -> None:  # noqa: ARG001 - asking for it holds it
    started = Path("started")
    if not started.exists():
        started.write_text(str(os.getpid()))
        while not Path("may_end").exists():
            time.sleep(0.05)


defs = dg.Definitions(
    [model_step],
    jobs=[
        dg.define_asset_job("all_steps"),
        dg.define_asset_job("nightly", tags=dict(nightly_dataset_refresh.tags)),
    ],
    executor=dg.in_process_executor,
    resources={"store": DataStore(data_dir="data")},
)
