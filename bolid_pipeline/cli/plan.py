"""`bolid plan`: which training presets fit a machine, how long they take, and the room that the data need."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import click
import pyarrow.compute as pc

from bolid_pipeline.cli.errors import one_line_errors
from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.names import printable
from bolid_pipeline.planning.costs import TrainingCost, cost_fingerprint, read_counted
from bolid_pipeline.planning.disk import PHOTO_BYTES, disk_use
from bolid_pipeline.planning.machine import GIB, Machine, this_machine
from bolid_pipeline.planning.plan import as_table, plan
from bolid_pipeline.training.measurements import read_measurements
from bolid_pipeline.training.presets import PRESETS
from resources.deployments import Deployment
from resources.environment import current_deployment
from resources.model_hub import model_hub_of
from resources.table_store import data_store_of

_PROGRAM_GIB = 4
"""Main memory of a training beside its networks: libraries, batches that are ready, pages of the latent table."""


@click.command("plan")
@click.option("--gpu-memory", type=click.FloatRange(min=1), help="Plan for a GPU of this many GiB instead.")
@click.option(
    "--tflops",
    type=click.FloatRange(min=1),
    help="Its rate of bfloat16 matrix products in TFLOP/s. A data sheet's is about a fifth too high.",
)
@one_line_errors
def plan_command(*, gpu_memory: float | None, tflops: float | None) -> None:
    """Print what each training preset takes, whether it fits this machine's GPU, and how long it trains.

    What a GPU measured is printed as it is; `~` marks what is counted from the networks' shapes or estimated.
    """
    deployment = current_deployment()
    machine = _machine(deployment, gpu_memory, tflops)
    costs = read_counted()
    trainings = {str(name): (PRESETS[name](), costs[name]) for name in PRESETS if name in costs}
    chosen = deployment.training_preset
    if chosen in trainings and deployment.training != PRESETS[chosen]():
        trainings[f"{chosen}, your settings"] = (deployment.training, _own_cost(deployment, costs[chosen]))
    measured = list(read_measurements())
    plans = [plan(name, config, cost, machine, measured) for name, (config, cost) in trainings.items()]
    lines = [
        *_about(machine),
        "",
        *as_table(plans).splitlines(),
        "",
        *_about_data(deployment, costs, machine),
    ]
    click.echo("\n".join(map(printable, lines)))


def _own_cost(deployment: Deployment, of_preset: TrainingCost) -> TrainingCost:
    """The cost of the deployment's training: counted now if its settings change it."""
    if cost_fingerprint(deployment.training) == of_preset.counted_for:
        return of_preset
    click.echo("counting the steps of your settings, which takes a minute or two ...", err=True)
    from bolid_pipeline.planning.step_cost import architecture_of, count_training  # takes seconds

    return count_training(
        deployment.training,
        architecture_of(deployment.training_preset),
        has_tiny_decoder="tiny_autoencoder" in deployment.weight_repositories,
    )


def _machine(deployment: Deployment, gpu_memory: float | None, tflops: float | None) -> Machine:
    if gpu_memory is None and tflops is not None:
        raise ConfigurationError("--tflops is the rate of another GPU than this machine's: add --gpu-memory")
    machine = this_machine(deployment.local_root)
    if gpu_memory is None:
        return machine
    return replace(machine, gpu="another than this machine's", gpu_gib=gpu_memory, matmul_tflops=tflops)


def _about(machine: Machine) -> Iterator[str]:
    if machine.gpu is None:
        yield "GPU: none, so no preset of a published base model fits; --gpu-memory plans for another machine"
    else:
        rate = "speed not known: name it by --tflops"
        if machine.matmul_tflops is not None:
            rate = f"{machine.matmul_tflops:.0f} TFLOP/s in bfloat16 matrix products"
        yield f"GPU: {machine.gpu}, {machine.gpu_gib:.1f} GiB, {rate}"
    yield f"main memory: {machine.ram_gib:.0f} GiB"
    yield f"disk: {machine.disk_gib:.0f} GiB free"


def _about_data(deployment: Deployment, costs: Mapping[str, TrainingCost], machine: Machine) -> Iterator[str]:
    yield "~ is counted from the networks' shapes (memory), or estimated from their operations (speed); the rest was"
    yield "measured. Neither holds the evaluation, nor the stages before the training."
    cost = costs.get(deployment.training_preset)
    if cost is None:
        yield f"This deployment, {deployment.name}, trains a small model on the CPU; BOLID_DEPLOYMENT chooses another."
        return
    num_photos, photo_bytes, where_from = _photos(deployment)
    use = disk_use(num_photos, photo_bytes, deployment.latents, cost)
    ram_gib = cost.loading_bytes / GIB + _PROGRAM_GIB
    yield ""
    yield f"{deployment.name} takes {deployment.training_preset} (training_preset), and"
    yield f"- {num_photos} photos of {photo_bytes / 1000:.0f} kB each, {where_from}: {_gib(use.photos)};"
    yield f"- their latents: {_gib(use.latents)}; the saved state of a training: {_gib(use.training)};"
    yield f"- published weights, once: {_gib(_weights_bytes(deployment))};"
    yield f"- main memory: ~{ram_gib:.0f} GiB, of which the networks take {_gib(cost.loading_bytes)} as they load."
    needed = (use.total + _weights_bytes(deployment)) / GIB
    if needed > machine.disk_gib:
        yield f"The disk lacks {needed - machine.disk_gib:.0f} GiB."
    if ram_gib > machine.ram_gib:
        yield f"The main memory lacks {ram_gib - machine.ram_gib:.0f} GiB."


def _photos(deployment: Deployment) -> tuple[int, float, str]:
    """Number and mean bytes of the photos: of those stored, or the most that the deployment would fetch."""
    sizes = data_store_of(deployment).tables.read("raw_photos", ["size_bytes"])["size_bytes"]
    if len(sizes):
        return len(sizes), pc.mean(sizes).as_py(), "as they are stored here"
    crawl = deployment.crawl
    most = (crawl.max_identities or 1) * (crawl.max_photos_per_identity or crawl.min_photos)
    return most, PHOTO_BYTES, "the most that would be fetched, of an assumed size"


def _weights_bytes(deployment: Deployment) -> int:
    listed = model_hub_of(deployment).listed()
    return sum({each.model.address: each.model.size_bytes or 0 for each in listed}.values())


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / GIB:.1f} GiB"
