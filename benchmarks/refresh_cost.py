"""What `dataset_refresh` costs when little is new: nothing at all, or one person beside twenty.

    uv run python benchmarks/refresh_cost.py --photos 12

Renders the embedded world with 21 people (minutes), then runs every stage from the crawl to captions and latents in
one process, three times: with twenty people, again with nothing new, and with the twenty-first. Prints the rows
computed and the seconds of the stages, Dagster's own work included, imports not.
"""

import argparse
import importlib
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg

from bolid_pipeline.bodyworld.world import WorldConfig, build_world, draw_identities
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
    """Print a line per run."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--photos", type=int, default=12, help="of each person")
    num_photos = arguments.parse_args().photos
    for module in HEAVY:
        importlib.import_module(f"bolid_pipeline.{module}")
    with tempfile.TemporaryDirectory() as folder:
        world = WorldConfig(num_identities=NUM_PEOPLE, num_photos_per_identity=num_photos)
        build_world(world, Path(folder) / "world")
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
        first_rows, first_seconds = refresh(without, Path(folder) / "world", num_photos)
        print(f"twenty people    {first_rows:6d} rows computed  {first_seconds:7.1f} s")
        for name, current in (("nothing new", without), ("one new person", deployment)):
            rows, seconds = refresh(current, Path(folder) / "world", num_photos)
            share = f"{rows / first_rows:6.1%} of the rows, {seconds / first_seconds:6.1%} of the time"
            print(f"{name:15s}  {rows:6d} rows computed  {seconds:7.1f} s  {share}")


def refresh(deployment: Deployment, world: Path, num_photos: int) -> tuple[int, float]:
    """Run the stages once; rows computed and seconds."""
    graph: list[Any] = [*dg.load_assets_from_modules(STAGES), *dg.load_asset_checks_from_modules(STAGES)]
    source = EmbeddedSource(
        world_dir=str(world), num_identities=NUM_PEOPLE, num_photos_per_identity=num_photos
    )
    started = time.monotonic()
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
    seconds = time.monotonic() - started
    found = [
        event.materialization.metadata.get("num_computed")
        for event in done.get_asset_materialization_events()
    ]
    return sum(int(str(count.value)) for count in found if count is not None), seconds


if __name__ == "__main__":
    main()
