"""The command line: `bolid generate`, `bodyworld site`, `bodyworld render`, `crawl`, `forget`, `compact`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from bolid_pipeline.errors import BolidError
from bolid_pipeline.pretrained.device import find_device
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.training.checkpoint import read_training
from resources.deployments import current_deployment
from resources.model_hub import model_hub_of

_FOLDER = click.Path(file_okay=False, path_type=Path)
_LISTS_OF_PEOPLE = ("included_identities", "excluded_identities")
_PICTURE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _clear_errors(command: Callable[..., None]) -> Callable[..., None]:
    """BoLID's own errors as one line, without a traceback; the exit code is 1."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except BolidError as error:
            raise click.ClickException(str(error)) from error

    return wrapped


@click.group()
@click.version_option(package_name="bolid-pipeline")
def main() -> None:
    """Body identity for text-to-image diffusion. BOLID_DEPLOYMENT and BOLID_DATA_DIR say which data are meant."""


@main.command()
@click.option("--prompt", "prompts", required=True, multiple=True, help="What to draw; may be repeated.")
@click.option("--identity", help="A person of the checkpoint's body bank.")
@click.option(
    "--between",
    type=(str, str, click.FloatRange(0, 1)),
    metavar="A B SHARE",
    help="Somebody between two people of the bank; 0 is A, 1 is B.",
)
@click.option("--sample-body", is_flag=True, help="A body that fits the text, another one for each seed.")
@click.option(
    "--ref", "ref_images", type=_PICTURE, multiple=True, help="A photo of the person; may be repeated."
)
@click.option(
    "--image-prompt", "image_prompts", type=_PICTURE, multiple=True, help="A picture of the wanted content."
)
@click.option("--negative-prompt", help="What not to draw.")
@click.option("--checkpoint", type=_FOLDER, help="Checkpoint folder.  [default: the deployment's]")
@click.option(
    "--out", type=_FOLDER, default=Path("generated"), show_default=True, help="Folder of the pictures."
)
@click.option(
    "--count", "num_images", type=click.IntRange(1), default=1, show_default=True, help="Of each prompt."
)
@click.option("--seed", default=0, show_default=True, help="Of the first picture; the next has the next.")
@click.option("--height", "height_px", type=int, help="In px.  [default: the base model's]")
@click.option("--width", "width_px", type=int, help="In px.  [default: the base model's]")
@click.option("--sampler", help="ddim, dpm, euler, lcm or tcd.  [default: the base model's]")
@click.option("--steps", "num_inference_steps", default=30, show_default=True, help="Denoising steps.")
@click.option(
    "--guidance", "guidance_scale", default=5.0, show_default=True, help="Classifier-free guidance scale."
)
@click.option(
    "--ref-scale", default="1", show_default=True, help="Weight of the reference branch; number or JSON."
)
@click.option(
    "--body-scale", default="1", show_default=True, help="Weight of the body branch; number or JSON."
)
@_clear_errors
def generate(*, checkpoint: Path | None, out: Path, ref_scale: str, body_scale: str, **options: Any) -> None:
    """Draw pictures from text, of a person by name, by photo, or of nobody in particular.

    A prompt that names a person of the body bank draws that person. A scale is a number, or JSON: {"up": 1.0} per
    block of the U-Net, {"0.3": 1.0} from 30 % of the steps on. Each file says that it is generated.
    """
    deployment = current_deployment()
    folder = checkpoint or deployment.local_root / "checkpoints" / deployment.name
    read_training(folder)  # says so at once where there is no checkpoint; the imports below take their time

    from bolid_pipeline.generation import GenerationRequest, generate_pictures
    from bolid_pipeline.models.pipeline import load_pipeline
    from bolid_pipeline.models.scales import parse_scale

    request = GenerationRequest(
        ref_scale=parse_scale(ref_scale), body_scale=parse_scale(body_scale), **options
    )
    hub = model_hub_of(deployment)
    needs_clip = bool(request.ref_images or request.image_prompts)
    pipe = load_pipeline(
        folder,
        hub.folder("base_model"),
        image_encoder=hub.folder("image_encoder") if needs_clip else None,
        feature_extractor=hub.folder("feature_extractor") if needs_clip else None,
    )
    for path in generate_pictures(pipe.to(find_device("auto")), request, out):
        click.echo(path)


@main.command()
@click.argument("pictures", type=_PICTURE, nargs=-1, required=True)
def inspect(pictures: tuple[Path, ...]) -> None:
    """Say of each picture whether BoLID generated it: by its metadata, and by the invisible mark in its pixels."""
    from bolid_pipeline.images import open_image
    from bolid_pipeline.models.invisible_mark import MIN_BITS_FOUND, count_mark_bits

    for path in pictures:
        with open_image(path) as picture:
            software = picture.info.get("Software", "none")
            bits = count_mark_bits(picture)
        mark = "found" if bits >= MIN_BITS_FOUND else "not found"
        click.echo(f"{path}: metadata: {software}; mark: {mark} ({bits} of 48 bits)")


@main.group()
def bodyworld() -> None:
    """The synthetic world: photos of people who do not exist, and a stand-in of the gallery site."""


@bodyworld.command()
@click.argument("folder", type=_FOLDER)
@click.option("--identities", default=8, show_default=True, help="People.")
@click.option("--photos", default=28, show_default=True, help="Photos of each.")
@click.option("--seed", default=0, show_default=True)
@_clear_errors
def render(folder: Path, identities: int, photos: int, seed: int) -> None:
    """Render a world into FOLDER; does nothing where the same world already lies."""
    from bodyworld.world.build import WorldConfig, build_world

    build_world(WorldConfig(seed=seed, num_identities=identities, num_photos_per_identity=photos), folder)
    click.echo(folder)


@bodyworld.command()
@click.argument("folder", type=_FOLDER, required=False)
@click.option("--port", default=8600, show_default=True, help="On loopback; 0 for a free one.")
@_clear_errors
def site(folder: Path | None, port: int) -> None:
    """Serve the world in FOLDER (the demo's by default) as the gallery site, for a browser, until Ctrl-C."""
    from bodyworld.site.server import BodyworldSite

    stand_in = BodyworldSite(folder or current_deployment().local_root / "bodyworld", port)
    click.echo(f"{stand_in.url}/photos/")
    stand_in.serve()


@main.command()
@click.option(
    "--dry-run", is_flag=True, help="Read the galleries, fetch no photo, say what would be fetched."
)
@click.option("--only", "included_identities", multiple=True, help="Crawl this person; may be repeated.")
@click.option("--block", "excluded_identities", multiple=True, help="Not this one; may be repeated.")
@click.option("--order", type=click.Choice(["alphabetical", "random"]), help="Who comes first.")
@click.option("--seed", type=int, help="Of the random order.")
@click.option("--max-people", "max_identities", type=int, help="People with enough photos.")
@click.option("--min-photos", type=int, help="People with fewer are left out.")
@click.option("--max-photos", "max_photos_per_identity", type=int, help="Photos of each person.")
@click.option("--max-requests", type=int, help="Budget of this run.")
@click.option("--max-minutes", type=float, help="Budget of this run.")
@_clear_errors
def crawl(*, dry_run: bool, **options: Any) -> None:
    """Fetch new photos from the deployment's site or folder, as `identity_catalogue` and `raw_photos` do.

    A run that was stopped, by a budget or by Ctrl-C, goes on where it was.
    """
    from bolid_pipeline.scraping.crawler import CrawlReport, crawl_catalogue, crawl_photos, plan_photos
    from bolid_pipeline.storage.photos import PhotoStore
    from bolid_pipeline.storage.store_lock import hold_store
    from bolid_pipeline.storage.tables import TableStore
    from resources.photo_source import photo_source_of

    deployment = current_deployment()
    manners = _overridden(deployment.crawl, options)
    tables, photos = TableStore(deployment.data_dir), PhotoStore(deployment.data_dir)
    with hold_store(deployment.data_dir, "bolid crawl"), photo_source_of(deployment).open(manners) as source:
        tables.recover()
        photos.recover()
        reports: list[CrawlReport] = []
        if manners.has_budget and not dry_run and plan_photos(tables, manners).num_photos:
            reports.append(crawl_photos(source, tables, photos))  # or the catalogue may spend every budget
        reports.append(crawl_catalogue(source, tables))
        if not dry_run:
            reports.append(crawl_photos(source, tables, photos))
    for report in reports:
        click.echo(report)
    if dry_run:
        click.echo(plan_photos(tables, manners))


def _overridden(manners: CrawlConfig, options: Mapping[str, Any]) -> CrawlConfig:
    """The deployment's bounds with those that were given on the command line."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    lists = {name: frozenset(given[name]) for name in _LISTS_OF_PEOPLE if name in given}
    blocked = manners.excluded_identities | lists.get("excluded_identities", frozenset())
    return replace(manners, **{**given, **lists, "excluded_identities": blocked})


@main.command()
@click.argument("identity")
@click.confirmation_option(prompt="Remove this person from the data set for good?")
@_clear_errors
def forget(identity: str) -> None:
    """Remove a person from tables, photos, body banks and reports, and never crawl them again."""
    from bolid_pipeline.forgetting import forget as forget_person

    deployment = current_deployment()
    report = forget_person(deployment.data_dir, identity, local_dir=deployment.local_dir)
    click.echo(f"removed {report.num_photos} photos and {report.num_rows} rows of {identity}")
    if report.checkpoints:
        click.echo(
            f"removed from the body bank of: {', '.join(report.checkpoints)}; their reports are deleted"
        )
        click.echo(
            "The branches still hold what they learned from the photos: run full_refresh to train them again."
        )
    click.echo("Thumbnails may remain in the run history; `dagster run wipe` deletes it.")


@main.command()
@_clear_errors
def compact() -> None:
    """Merge the small files that many refreshes leave; refreshes do so themselves where a table has very many."""
    from bolid_pipeline.storage.store_lock import hold_store
    from bolid_pipeline.storage.tables import TableStore

    data_dir = current_deployment().data_dir
    with hold_store(data_dir, "bolid compact"):
        tables = TableStore(data_dir)
        tables.recover()
        for table in tables.names:
            click.echo(f"{table}: {tables.compact(table)} files fewer")
