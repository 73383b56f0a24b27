"""`bolid generate` draws pictures, `bolid inspect` says whether a picture was drawn by BoLID."""

from pathlib import Path
from typing import Any

import click

from bolid_pipeline.cli.errors import one_line_errors
from bolid_pipeline.errors import UnreadablePhoto
from bolid_pipeline.names import printable
from bolid_pipeline.training.checkpoint import read_training
from resources.environment import current_deployment
from resources.model_hub import model_hub_of

_FOLDER = click.Path(file_okay=False, path_type=Path)
_PICTURE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
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
    "--overwrite", is_flag=True, help="Replace pictures of earlier runs instead of numbering new ones."
)
@click.option(
    "--count", "num_images", type=click.IntRange(1), default=1, show_default=True, help="Of each prompt."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    default=0,
    show_default=True,
    help="Of the first picture; the next has the next.",
)
@click.option("--height", "height_px", type=click.IntRange(8), help="In px.  [default: the base model's]")
@click.option("--width", "width_px", type=click.IntRange(8), help="In px.  [default: the base model's]")
@click.option("--few-steps", is_flag=True, help="Draw with the deployment's few-step LoRA, in 4 steps or so.")
@click.option("--sampler", help="ddim, dpm, euler, lcm or tcd.  [default: the base model's]")
@click.option(
    "--steps",
    "num_inference_steps",
    type=click.IntRange(1),
    help="Denoising steps.  [default: 30; with --few-steps those of the LoRA]",
)
@click.option(
    "--guidance",
    "guidance_scale",
    type=click.FloatRange(0),
    help="Classifier-free guidance scale.  [default: 5; with --few-steps 1, which is off]",
)
@click.option(
    "--ref-scale", default="1", show_default=True, help="Weight of the reference branch; number or JSON."
)
@click.option(
    "--body-scale", default="1", show_default=True, help="Weight of the body branch; number or JSON."
)
@one_line_errors
def generate(
    *,
    checkpoint: Path | None,
    out: Path,
    overwrite: bool,
    few_steps: bool,
    ref_scale: str,
    body_scale: str,
    **options: Any,
) -> None:
    """Draw pictures from text, of a person by name, by photo, or of nobody in particular.

    A prompt that names a person of the body bank draws that person. A scale is a number, or JSON: {"up": 1.0} per
    block of the U-Net, {"0.3": 1.0} from 30 % of the steps on. Each file says that it is generated. A picture whose
    name is taken gets a number.
    """
    deployment = current_deployment()
    folder = checkpoint or deployment.local_root / "checkpoints" / deployment.name
    read_training(folder)  # says so at once where there is no checkpoint; the imports below take their time

    from bolid_pipeline.cli.generation import GenerationRequest, generate_pictures
    from bolid_pipeline.cli.picture_folder import PictureFolder
    from bolid_pipeline.models.pipeline import load_pipeline
    from bolid_pipeline.models.scales import parse_scale

    pictures = PictureFolder(out, overwrite=overwrite)
    pictures.check()
    request = GenerationRequest(
        ref_scale=parse_scale(ref_scale, "--ref-scale"),
        body_scale=parse_scale(body_scale, "--body-scale"),
        **options,
    )
    hub = model_hub_of(deployment)
    needs_clip = bool(request.ref_images or request.image_prompts)
    pipe = load_pipeline(
        folder,
        hub.folder("base_model"),
        device="auto",
        image_encoder=hub.folder("image_encoder") if needs_clip else None,
        feature_extractor=hub.folder("feature_extractor") if needs_clip else None,
        few_step_lora=hub.file("few_step_lora") if few_steps else None,
    )
    for path in generate_pictures(pipe, request, pictures):
        click.echo(printable(str(path)))


@click.command()
@click.argument("pictures", type=_PICTURE, nargs=-1, required=True)
def inspect(pictures: tuple[Path, ...]) -> None:
    """Say of each picture whether BoLID generated it: by its metadata, and by the invisible mark in its pixels."""
    from bolid_pipeline.images.decoding import read_picture
    from bolid_pipeline.models.invisible_mark import MIN_BITS_FOUND, count_mark_bits
    from bolid_pipeline.models.provenance import software_of

    unreadable = 0
    for path in pictures:
        try:
            bits = count_mark_bits(read_picture(path))
        except UnreadablePhoto as error:
            unreadable += 1
            click.echo(f"Error: {error}", err=True)
            continue
        mark = "found" if bits >= MIN_BITS_FOUND else "not found"
        click.echo(printable(f"{path}: metadata: {software_of(path)}; mark: {mark} ({bits} of 48 bits)"))
    if unreadable:
        raise click.exceptions.Exit(1)
