"""The command line: `bolid generate`, `bolid bodyworld site`, `bolid bodyworld render`, `bolid forget`."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from bolid_pipeline.errors import BolidError
from bolid_pipeline.training.checkpoint import read_training
from resources.compute_engine import ComputeEngine
from resources.deployments import current_deployment
from resources.model_hub import model_hub_of

_FOLDER = click.Path(file_okay=False, path_type=Path)
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
@click.argument("prompt")
@click.option("--identity", help="A person of the checkpoint's body bank.")
@click.option("--ref-image", type=_PICTURE, help="A photo of the person, for the reference branch.")
@click.option("--image-prompt", type=_PICTURE, help="A picture of the wanted content.")
@click.option("--checkpoint", type=_FOLDER, help="Checkpoint folder.  [default: the deployment's]")
@click.option("--out", type=click.Path(path_type=Path), default=Path("generated.png"), show_default=True)
@click.option("--height", type=int, help="In px.  [default: the base model's]")
@click.option("--width", type=int, help="In px.  [default: the base model's]")
@click.option("--steps", default=30, show_default=True, help="Denoising steps.")
@click.option("--guidance", default=5.0, show_default=True, help="Classifier-free guidance scale.")
@click.option("--ref-scale", default=1.0, show_default=True, help="Weight of the reference branch.")
@click.option("--body-scale", default=1.0, show_default=True, help="Weight of the body branch.")
@click.option("--seed", default=0, show_default=True)
@_clear_errors
def generate(prompt: str, identity: str | None, checkpoint: Path | None, out: Path, **options: Any) -> None:
    """Draw a picture of PROMPT, of a named person or of nobody in particular.

    The file says that it is generated, by what, and from which prompt.
    """
    deployment = current_deployment()
    folder = checkpoint or deployment.data_dir / "checkpoints" / deployment.name
    read_training(folder)  # says so at once where there is no checkpoint; the imports below take their time
    base_model = model_hub_of(deployment).folder("base_model")

    import torch
    from PIL import Image

    from bolid_pipeline.models.pipeline import BoLIDPipeline
    from bolid_pipeline.models.provenance import save_generated

    pipe = BoLIDPipeline.from_checkpoint(folder, base_model).to(ComputeEngine().torch_device)
    pictures = {
        name: path and Image.open(path) for name in ("ref_image", "image_prompt") if (path := options[name])
    }
    image = pipe(
        prompt,
        identity=identity,
        **pictures,
        height=options["height"],
        width=options["width"],
        num_inference_steps=options["steps"],
        guidance_scale=options["guidance"],
        ref_scale=options["ref_scale"],
        body_scale=options["body_scale"],
        generator=torch.Generator("cpu").manual_seed(options["seed"]),
    ).images[0]
    save_generated(image, out, prompt=prompt, identity=identity)
    click.echo(out)


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
    from bolid_pipeline.bodyworld.world import WorldConfig, build_world

    build_world(WorldConfig(seed=seed, num_identities=identities, num_photos_per_identity=photos), folder)
    click.echo(folder)


@bodyworld.command()
@click.argument("folder", type=_FOLDER, required=False)
@click.option("--port", default=8600, show_default=True, help="On loopback; 0 for a free one.")
@_clear_errors
def site(folder: Path | None, port: int) -> None:
    """Serve the world in FOLDER (the demo's by default) as the gallery site, for a browser, until Ctrl-C."""
    from bolid_pipeline.bodyworld.site import BodyworldSite

    stand_in = BodyworldSite(folder or current_deployment().data_dir / "bodyworld", port)
    click.echo(f"{stand_in.url}/photos/")
    stand_in.serve()


@main.command()
@click.argument("identity")
@click.confirmation_option(prompt="Remove this person from the data set for good?")
@_clear_errors
def forget(identity: str) -> None:
    """Remove a person from tables, photos, body banks and reports, and never crawl them again."""
    from bolid_pipeline.forgetting import forget as forget_person

    report = forget_person(current_deployment().data_dir, identity)
    click.echo(f"removed {report.num_photos} photos and {report.num_rows} rows of {identity}")
    if report.checkpoints:
        click.echo(
            f"removed from the body bank of: {', '.join(report.checkpoints)}; their reports are deleted"
        )
        click.echo(
            "The branches still hold what they learned from the photos: run full_refresh to train them again."
        )
    click.echo("Thumbnails may remain in the run history; `dagster run wipe` deletes it.")
