"""Costs of a photo as the table grows: making the latents' rows, and training's batches from them.

    uv run python benchmarks/table_scale.py --rows 1000 10000 100000

For each size a process of its own refreshes an empty latent table by a stage that costs nothing (latents of 4 x 8 x 8,
commits of 64 rows), refreshes it again with nothing new, and opens it; then it takes batches of the training's data
module. CPU time is that of all threads, which other work on the machine does not change. Memory is what a process holds
beside mapped files (RssAnon), over what it held before.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bodyworld.weights import weights_folder
from bolid_pipeline.latents.buckets import Bucket
from bolid_pipeline.latents.cache import LatentTable, open_latents
from bolid_pipeline.latents.layout import TABLE, LatentLayout, to_binary
from bolid_pipeline.models.base import BaseModel, load_base_model
from bolid_pipeline.stages.batches import compute_here
from bolid_pipeline.stages.recipe import PhotoStage, Recipe
from bolid_pipeline.stages.refresh import refresh_table
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore
from bolid_pipeline.training.data import TrainingData
from bolid_pipeline.training.datamodule import BoLIDDataModule
from bolid_pipeline.training.presets import demo

PHOTOS_EACH = 50
NUM_BATCHES = 1000


class OurModels:
    """Stands in for `LatentModels`: the benchmark's latents are of no model."""

    vae = "the benchmark"

    def fingerprint(self) -> str:
        """The fingerprint of all rows of the table."""
        return "benchmark"


class RandomLatentStage(PhotoStage[None]):
    """Draws random latents in place of the networks' outputs."""

    def __init__(self, recipe: "RandomLatentRecipe") -> None:
        self._recipe = recipe
        self._rng = np.random.default_rng(0)

    def read(self, photo: dict[str, Any]) -> None:
        """Reads nothing."""

    def compute(self, photos: pa.Table, read: list[None]) -> pa.Table:  # noqa: ARG002 - nothing was read
        """Rows with the columns of `LatentStage`."""
        count, layout = photos.num_rows, self._recipe.layout
        shape = next(iter(layout.latent_shapes.values()))
        columns = {
            "photo_id": photos["photo_id"],
            "identity": photos["identity"],
            "latent": self._draw(count, *shape),
            "body_latent": self._draw(count, *shape),
            "image_embed": self._draw(count, layout.image_embed_dim),
            "crop": pa.array([[0.0, 0.0, 64.0, 64.0]] * count, pa.list_(pa.float32(), 4)),
            "keypoints": to_binary(list(self._rng.uniform(0.2, 1, (count, 17, 3))), 17 * 3),
        }
        return pa.table(columns, self._recipe.made_columns)

    def _draw(self, count: int, *shape: int) -> pa.Array:
        return to_binary(list(self._rng.standard_normal((count, *shape))), int(np.prod(shape)))


@dataclass(frozen=True, kw_only=True)
class RandomLatentRecipe(Recipe):
    """Opens a stage that costs nothing."""

    table = "latents"
    code_version = "1"

    layout: LatentLayout

    @property
    def ingredients(self) -> dict[str, Any]:
        """The fingerprint of the layout's model."""
        return {"models": self.layout.models}

    @property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprints for both columns."""
        return dict.fromkeys(("model_fingerprint", "body_fingerprint"), self.fingerprint)

    @property
    def table_columns(self) -> pa.Schema:
        """The columns of the layout."""
        return self.layout.columns

    def open(self, photos: PhotoStore, device: str) -> RandomLatentStage:  # noqa: ARG002 - there is no model
        """A `RandomLatentStage`."""
        return RandomLatentStage(self)


def main() -> None:
    """Print a table, a line per size."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 100_000])
    arguments.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    for num_rows in options.rows:
        done = subprocess.run(
            [sys.executable, __file__, "--measure", str(num_rows)], check=True, stdout=subprocess.PIPE
        )
        print(f"\n{num_rows} rows")
        for name, value in json.loads(done.stdout).items():
            print(f"  {name:45s} {value}")


def measure(num_rows: int) -> dict[str, Any]:
    """All figures of one size."""
    base = load_base_model(weights_folder("base_model"))
    with tempfile.TemporaryDirectory() as folder:
        return _measure_refresh(num_rows, base, TableStore(Path(folder))) | _measure_batches(
            base, TableStore(Path(folder))
        )


def _measure_refresh(num_rows: int, base: BaseModel, tables: TableStore) -> dict[str, Any]:
    layout = LatentLayout(
        latent_shapes={Bucket(64, 64): (base.vae.config.latent_channels, 8, 8)},
        scaling_factor=base.vae.config.scaling_factor,
        shift_factor=0.0,
        image_embed_dim=64 if base.image_encoder is None else base.image_encoder.config.projection_dim,
        models="benchmark",
    )
    photos = pa.table(
        {
            "photo_id": [hashlib.sha256(str(row).encode()).hexdigest() for row in range(num_rows)],
            "identity": [f"person-{row // PHOTOS_EACH:06d}" for row in range(num_rows)],
        }
    )
    recipe, store = RandomLatentRecipe(layout=layout), PhotoStore(tables.root.parent)
    seconds: list[float] = []
    memory = _anonymous_mb()
    for _ in ("first", "nothing new"):
        started = time.process_time()
        refresh_table(tables, recipe, photos, partial(compute_here, recipe, store, device="cpu"))
        seconds.append(time.process_time() - started)
    file_bytes = sum(part.stat().st_size for part in tables.parts(TABLE))
    return {
        "refresh: CPU us per photo": round(1e6 * seconds[0] / num_rows, 1),
        "refresh with nothing new: CPU us per photo": round(1e6 * seconds[1] / num_rows, 1),
        "memory after both, MB": round(_anonymous_mb() - memory, 1),
        "parts": len(tables.parts(TABLE)),
        "bytes per photo in the file": round(file_bytes / num_rows),
    }


def _measure_batches(base: BaseModel, tables: TableStore) -> dict[str, Any]:
    memory, started, cpu_started = _anonymous_mb(), time.perf_counter(), time.process_time()
    latents: LatentTable = open_latents(tables, OurModels())  # pyright: ignore[reportArgumentType]
    opened = time.perf_counter()
    captions = {photo_id: f"photo {row % 4}" for row, photo_id in enumerate(latents.photo_ids)}
    trained_on = TrainingData(base_model=weights_folder("base_model"), latents=latents, captions=captions)
    data = BoLIDDataModule(demo(), trained_on, base)
    data._num_steps = NUM_BATCHES  # noqa: SLF001 - the demo trains for less
    batches = iter(data.train_dataloader())
    next(batches)
    first, cpu_first = time.perf_counter(), time.process_time()
    holds = [_anonymous_mb() - memory]
    for number, _ in enumerate(batches, 2):
        if number % (NUM_BATCHES // 4) == 0:
            holds.append(_anonymous_mb() - memory)
    return {
        "opening the table, s": round(opened - started, 2),
        "first batch after opening, s": round(first - opened, 2),
        "both, CPU s": round(cpu_first - cpu_started, 2),
        "CPU ms per batch after that": round(1e3 * (time.process_time() - cpu_first) / (NUM_BATCHES - 1), 2),
        "memory at the first batch and at each quarter, MB": [round(megabytes) for megabytes in holds],
    }


def _anonymous_mb() -> float:
    """Memory that this process holds beside mapped files, in MB."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("RssAnon"))


if __name__ == "__main__":
    main()
