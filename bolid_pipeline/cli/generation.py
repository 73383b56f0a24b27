"""Draw what `bolid generate` asks for, into files that say that they are generated."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import SkipValidation

from bolid_pipeline.cli.picture_folder import PictureFolder
from bolid_pipeline.errors import WeightsMissing
from bolid_pipeline.images.decoding import read_picture
from bolid_pipeline.models.pipeline import AnyBoLIDPipeline
from bolid_pipeline.models.pipelines.input_checks import check_utf8
from bolid_pipeline.models.samplers import make_sampler
from bolid_pipeline.models.scales import Scale
from bolid_pipeline.settings import Field, Probability, settings

_NUM_SEEDS = 2**64
"""torch's generators take 64 bits."""


@settings
class GenerationRequest:
    """A request to `bolid generate`: what to draw, and how."""

    prompts: Annotated[tuple[str, ...], Field(min_length=1)]
    """One text or several."""
    identity: str | None = None
    """A person of the body bank."""
    between: tuple[str, str, Probability] | None = None
    """Two people of the body bank, and how far to go from the first (0) to the second (1)."""
    sample_body: bool = False
    """Let the body prior draw a body that fits the text."""
    ref_images: tuple[Path, ...] = ()
    """Photos of the person."""
    image_prompts: tuple[Path, ...] = ()
    """Pictures of the wanted content."""
    negative_prompt: str | None = None
    """What not to draw."""
    num_images: Annotated[int, Field(gt=0)] = 1
    """Pictures per prompt, each with the next seed."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the first picture, less than 2^64."""
    sampler: str | None = None
    """One of `models.samplers.SAMPLERS`; None for the base model's own."""
    num_inference_steps: Annotated[int, Field(gt=0)] | None = None
    """Denoising steps; None for 30, or those of a few-step LoRA."""
    guidance_scale: Annotated[float, Field(ge=0)] | None = None
    """Scale of classifier-free guidance; 1 draws without guidance; None for 5, or that of a few-step LoRA."""
    ref_scale: SkipValidation[Scale] = 1.0
    """Scale of the reference branch, see `models.scales`; the pipeline checks it against its U-Net."""
    body_scale: SkipValidation[Scale] = 1.0
    """Scale of the body branch, see `models.scales`."""
    height_px: Annotated[int, Field(gt=0, multiple_of=8)] | None = None
    """None for the base model's own."""
    width_px: Annotated[int, Field(gt=0, multiple_of=8)] | None = None
    """None for the base model's own."""

    def __post_init__(self) -> None:
        """Refuse two bodies at once, seeds that torch does not take, and texts that no tokenizer takes."""
        check_utf8("prompt", *self.prompts, self.negative_prompt or "")
        if (self.identity is not None) + (self.between is not None) + self.sample_body > 1:
            raise ValueError("identity, between and sample_body each say whose body it is: give one")
        if self.seed + self.num_images > _NUM_SEEDS:
            raise ValueError(
                f"seed {self.seed} and num_images {self.num_images}: seeds go from 0 to {_NUM_SEEDS - 1}"
            )


def generate_pictures(
    pipe: AnyBoLIDPipeline, request: GenerationRequest, out: PictureFolder
) -> Iterator[Path]:
    """Draw one picture after the other and write each into a folder as PNG.

    A prompt that names a person of the body bank draws that person, unless the request asks for a body itself.

    Args:
        pipe: a pipeline with a checkpoint loaded.
        request: what to draw.
        out: where the pictures go.

    Yields:
        The path of each picture.

    Raises:
        UnknownIdentity: the body bank lacks a person.
        UnreadablePhoto: a given picture cannot be decoded.
        WeightsMissing: the checkpoint lacks what the request needs.
        ConfigurationError: the sampler is unknown, or the pipeline refuses a setting.
    """
    if request.sampler is not None:
        pipe.scheduler = make_sampler(request.sampler, pipe.scheduler.config)
    how = _how(pipe, request)
    refs = [read_picture(path) for path in request.ref_images]
    contents = [read_picture(path) for path in request.image_prompts]
    for prompt in request.prompts:
        name, body = _body(pipe, request, prompt)
        for seed in range(request.seed, request.seed + request.num_images):
            image = pipe(
                prompt,
                **body,
                ref_image=refs,
                image_prompt=contents,
                negative_prompt=request.negative_prompt,
                height=request.height_px,
                width=request.width_px,
                **how,
                ref_scale=request.ref_scale,
                body_scale=request.body_scale,
                generator=torch.Generator("cpu").manual_seed(seed),
            ).images[0]
            yield out.save(image, prompt=prompt, identity=name, seed=seed)


def _how(pipe: AnyBoLIDPipeline, request: GenerationRequest) -> dict[str, Any]:
    """Steps and guidance: what is asked, else what the pipeline's few-step LoRA was made for, else the usual."""
    asked = {
        "num_inference_steps": request.num_inference_steps,
        "guidance_scale": request.guidance_scale,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return {"num_inference_steps": 30, "guidance_scale": 5.0, **pipe.call_defaults, **given}


def _body(
    pipe: AnyBoLIDPipeline, request: GenerationRequest, prompt: str
) -> tuple[str | None, dict[str, Any]]:
    """The name of the person a picture shows (None for nobody), and the pipeline's argument for their body."""
    if request.sample_body:
        return None, {"sample_body": True}
    bank = pipe.body_bank
    if request.between is not None:
        if bank is None:
            raise WeightsMissing("the checkpoint holds no body bank, so no people can be named")
        first, second, fraction = request.between
        return f"{first}+{second}", {"c_body": bank.between(first, second, fraction)}
    identity = request.identity
    if identity is None and bank is not None:
        identity = bank.named_in(prompt)
    return identity, {"identity": identity}
