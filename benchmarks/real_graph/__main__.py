"""The whole graph of `theplace_sd15` on real shapes: from a stand-in of the site to the report, on any machine.

    uv run python benchmarks/real_graph --work FOLDER      # 15 GB of disk, 20 GB of memory

Everything is as in the real run except for four things: weights are random (`published_weights.py`), the site is the
stand-in of bodyworld on loopback, photos and steps are few (`SETTINGS`), and the device is what this machine has. The
weights are written once and found in BOLID_WEIGHTS_DIR, as a downloaded folder would be; their hashes are pinned.
The pictures are noise. Prints the time of each asset and the most memory that the run took.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import click
from published_weights import write_published_weights

from bodyworld.site.server import BodyworldSite
from bodyworld.world.build import WorldConfig, build_world
from bolid_pipeline.pretrained.hub import find
from bolid_pipeline.pretrained.pins import Pin, Pins, write_pins
from bolid_pipeline.pretrained.weights import file_sha256
from resources.deployments import theplace_sd15
from resources.published_models import published_model

REPOSITORY = Path(__file__).parents[2]
WORLD = WorldConfig(seed=3, num_identities=2, num_photos_per_identity=10)
SETTINGS = """\
deployment = "theplace_sd15"

[crawl]
min_photos = 4

[curation]
min_photos_per_identity = 3

[people]                     # the embedded YOLO networks were trained at these sizes
face_conf = 0.3
person_conf = 0.4
face_image_size_px = 192
person_image_size_px = 160

[pose]
image_size_px = 160

[captioner]
max_new_tokens = 8
max_side_px = 224

[latents]                    # a quarter of the area: the networks do not change with it
resolution_px = 256

[training]                   # every term of the objective, a preview, a prior, in two steps
steps = 2
batch_size = 2
pose_image_size_px = 160

[training.hardware]          # as on a GPU
precision = "bf16-mixed"

[training.diffusion.l_id]
start_step = 0
ramp_steps = 0

[training.few_step]
every_n_steps = 2
batch_size = 1

[training.few_step.l_id]
start_step = 0

[training.few_step.l_clip]
start_step = 0

[training.few_step.l_semantic]
start_step = 0

[training.few_step.l_layout]
start_step = 0

[training.prior]
steps = 2

[training.intervals]
log = 1
preview = 2

[evaluation]
prompts = ["a full-length photo of a {who} on a beach"]
num_identities = 2
height_px = 320
width_px = 192
num_inference_steps = 2
num_timesteps = 1
max_heldout = 2
batch_size = 2
"""


@click.command()
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), required=True)
def main(work: Path) -> None:
    """Write the weights, serve the site, run `full_refresh`, and print what it took."""
    work = work.absolute()
    weights = work / "weights"
    addresses = {**theplace_sd15(work).weight_repositories}
    write_published_weights(weights, addresses)
    write_pins(work / "pins.json", _pins(weights, addresses.values()))
    build_world(WORLD, work / "world")
    (work / "history").mkdir(exist_ok=True)
    (work / "history" / "dagster.yaml").write_bytes((REPOSITORY / "dagster.yaml").read_bytes())
    (work / "settings.toml").write_text(SETTINGS)
    with BodyworldSite(work / "world") as site:
        environment = {
            "BOLID_SETTINGS": str(work / "settings.toml"),
            "BOLID_SOURCE_URL": site.url,
            "BOLID_DATA_DIR": str(work / "data"),
            "BOLID_WEIGHTS_DIR": str(weights),
            "BOLID_WEIGHT_PINS": str(work / "pins.json"),
            "DAGSTER_HOME": str(work / "history"),
            "HF_HUB_OFFLINE": "1",
        }
        _run(["bolid", "models"], environment)
        started = time.monotonic()
        _run(
            ["dagster", "job", "execute", "-m", "bolid_pipeline.definitions", "-j", "full_refresh"],
            environment,
        )
        seconds = time.monotonic() - started
    peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    report = work / "data" / "reports" / "theplace_sd15"
    metrics = json.loads((report / "metrics.json").read_text())
    print(f"full_refresh of theplace_sd15: {seconds / 60:.1f} min, most memory of a process {peak_gb:.1f} GB")
    print(f"report at {report}, {len(metrics)} figures")


def _pins(weights: Path, addresses: Iterable[str]) -> Pins:
    """The hashes of the random weights in place of the published ones, which the registry knows."""
    sha256: dict[str, dict[str, str]] = {}
    for model in map(published_model, addresses):
        found = find(model, None, weights)
        if found is None:
            sys.exit(f"{model.address}: a file is missing in {weights}")
        hashes = {name: file_sha256(found.root / name) for name in found.files}
        sha256.setdefault(model.repository, {}).update(hashes)
    return {repository: Pin(sha256=hashes) for repository, hashes in sha256.items()}


def _run(command: list[str], environment: dict[str, str]) -> None:
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run([program, *command[1:]], env=os.environ | environment, cwd=REPOSITORY, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}")


if __name__ == "__main__":
    main()
