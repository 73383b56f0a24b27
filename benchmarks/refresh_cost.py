"""Costs of `dataset_refresh` when little is new: nothing at all, or one person beside twenty.

    uv run python benchmarks/refresh_cost.py

Renders the embedded world with 21 people (minutes; `--world` keeps it for the next time), then runs every stage from
the crawl to captions and latents in one process, three times: with twenty people, again with nothing new, and with the
twenty-first. Compute is CPU time of the process in all its threads, which other work on the machine does not change:
Dagster's own work, the loading of models, and the stand-in site included, imports not.
"""

import argparse
import importlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg

from bodyworld.world.build import WorldConfig, build_world, draw_identities
from bolid_pipeline.definitions import STAGES
from resources.compute_engine import ComputeEngine
from resources.deployments import Deployment, demo
from resources.model_hub import model_hub_of
from resources.photo_source import EmbeddedSource
from resources.table_store import DataStore

NUM_PEOPLE = 21
HEAVY = (
    "curation.watermark",
    "curation.people",
    "captioning.clip_attributes",
    "pose.estimator",
    "latents.stage",
)


def main() -> None:
    """Print a line per run, and the seconds of every step."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--photos", type=int, default=28, help="of each person; 28 is what the demo has")
    arguments.add_argument("--world", type=Path, help="folder to keep the world in")
    options = arguments.parse_args()
    for module in HEAVY:
        importlib.import_module(f"bolid_pipeline.{module}")
    with tempfile.TemporaryDirectory() as folder:
        world_dir = options.world or Path(folder) / "world"
        world = WorldConfig(num_identities=NUM_PEOPLE, num_photos_per_identity=options.photos)
        build_world(world, world_dir)
        newcomer = draw_identities(world)[-1][0]
        deployment = demo(Path(folder) / "data")
        deployment = replace(
            deployment,
            crawl=replace(deployment.crawl, min_photos=1),
            curation=replace(deployment.curation, min_photos_per_identity=1),
        )
        without = replace(
            deployment, crawl=replace(deployment.crawl, excluded_identities=frozenset({newcomer}))
        )
        runs = {"twenty people": without, "nothing new": without, "one new person": deployment}
        costs = {name: refresh(current, world_dir, options.photos) for name, current in runs.items()}
    _report(costs)


@dataclass(frozen=True)
class Cost:
    """Costs of a run."""

    rows: int
    compute_seconds: float
    seconds: float
    seconds_of_step: Mapping[str, float]


def refresh(deployment: Deployment, world: Path, num_photos: int) -> Cost:
    """Run the stages once."""
    graph: list[Any] = [*dg.load_assets_from_modules(STAGES), *dg.load_asset_checks_from_modules(STAGES)]
    source = EmbeddedSource(
        world_dir=str(world), num_identities=NUM_PEOPLE, num_photos_per_identity=num_photos
    )
    started, compute_started = time.monotonic(), time.process_time()
    done = dg.materialize(
        graph,
        selection=dg.AssetSelection.assets("captions", "latents").upstream(),
        resources={
            "store": DataStore(data_dir=str(deployment.data_dir)),
            "photo_source": source,
            "model_hub": model_hub_of(deployment),
            "compute_engine": ComputeEngine(),
            "deployment": deployment,
        },
    )
    found = [
        event.materialization.metadata.get("num_computed")
        for event in done.get_asset_materialization_events()
    ]
    steps = [event for event in done.all_events if event.event_type is dg.DagsterEventType.STEP_SUCCESS]
    return Cost(
        rows=sum(int(str(count.value)) for count in found if count is not None),
        compute_seconds=time.process_time() - compute_started,
        seconds=time.monotonic() - started,
        seconds_of_step={str(step.step_key): step.step_success_data.duration_ms / 1000 for step in steps},
    )


def _report(costs: Mapping[str, Cost]) -> None:
    first = next(iter(costs.values()))
    for name, cost in costs.items():
        print(
            f"{name:15s} {cost.rows:6d} rows ({cost.rows / first.rows:6.1%}), "
            f"compute {cost.compute_seconds:6.1f} s ({cost.compute_seconds / first.compute_seconds:6.1%}), "
            f"{cost.seconds:6.1f} s ({cost.seconds / first.seconds:6.1%})"
        )
    print(f"\n{'seconds of step':45s}" + "".join(f"{name:>16s}" for name in costs))
    for step in first.seconds_of_step:
        print(f"{step:45s}" + "".join(f"{cost.seconds_of_step[step]:16.2f}" for cost in costs.values()))


if __name__ == "__main__":
    main()
