"""Pictures from a checkpoint, as `bolid generate` asks for them, as files that say what they are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image, UnidentifiedImageError

from bolid_pipeline.errors import ConfigurationError, UnreadablePhoto, WeightsMissing
from bolid_pipeline.images import open_image
from bolid_pipeline.models.provenance import save_generated
from bolid_pipeline.models.samplers import make_sampler
from bolid_pipeline.models.scales import Scale


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """What to draw.

    Attributes:
        prompts: one text or several.
        identity: a person of the body bank.
        between: two people of the bank and how far to go from the first to the second, in [0, 1].
        sample_body: a body drawn by the body prior to fit the text.
        ref_images: photos of the person.
        image_prompts: pictures of the wanted content.
        negative_prompt: what not to draw.
        num_images: pictures of each prompt, with seeds counting up.
        seed: of the first.
        sampler: see `models.samplers`; None for the base model's own.
        num_inference_steps: denoising steps.
        guidance_scale: of classifier-free guidance; 1 is none.
        ref_scale: weight of the reference branch, see `models.scales`.
        body_scale: weight of the body branch.
        height_px: None for the base model's own.
        width_px: None for the base model's own.
    """

    prompts: tuple[str, ...]
    identity: str | None = None
    between: tuple[str, str, float] | None = None
    sample_body: bool = False
    ref_images: tuple[Path, ...] = ()
    image_prompts: tuple[Path, ...] = ()
    negative_prompt: str | None = None
    num_images: int = 1
    seed: int = 0
    sampler: str | None = None
    num_inference_steps: int = 30
    guidance_scale: float = 5.0
    ref_scale: Scale = 1.0
    body_scale: Scale = 1.0
    height_px: int | None = None
    width_px: int | None = None

    def __post_init__(self) -> None:
        """Refuse two bodies at once. Raises ConfigurationError."""
        if (self.identity is not None) + (self.between is not None) + self.sample_body > 1:
            raise ConfigurationError("identity, between and sample_body each say whose body it is: give one")


def generate_pictures(pipe: Any, request: GenerationRequest, out: Path) -> Iterator[Path]:
    """Draw one picture after the other into a folder.

    A prompt that names a person of the body bank draws that person, where the request asks for no body itself.

    Args:
        pipe: a `BoLIDPipeline` or `BoLIDXLPipeline` with a checkpoint loaded.
        request: what to draw.
        out: the folder; made if it is not there.

    Yields:
        The path of each picture.

    Raises:
        UnknownIdentity: the body bank does not hold a person.
        UnreadablePhoto: a given picture cannot be decoded.
        WeightsMissing: what the request needs is not in the checkpoint.
        ConfigurationError: a setting is unknown or out of range.
    """
    if request.sampler is not None:
        pipe.scheduler = make_sampler(request.sampler, pipe.scheduler.config)
    refs, contents = (
        [_read(path) for path in paths] for paths in (request.ref_images, request.image_prompts)
    )
    for prompt in request.prompts:
        who, body = _body(pipe, request, prompt)
        for seed in range(request.seed, request.seed + request.num_images):
            image = pipe(
                prompt,
                **body,
                ref_image=refs,
                image_prompt=contents,
                negative_prompt=request.negative_prompt,
                height=request.height_px,
                width=request.width_px,
                num_inference_steps=request.num_inference_steps,
                guidance_scale=request.guidance_scale,
                ref_scale=request.ref_scale,
                body_scale=request.body_scale,
                generator=torch.Generator("cpu").manual_seed(seed),
            ).images[0]
            path = out / "-".join(filter(None, (_slug(who or ""), _slug(prompt)[:60], f"{seed}.png")))
            save_generated(image, path, prompt=prompt, identity=who)
            yield path


def _body(pipe: Any, request: GenerationRequest, prompt: str) -> tuple[str | None, dict[str, Any]]:
    """Who is drawn, for people to read, and the pipeline's argument that says so."""
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


def _read(path: Path) -> Image.Image:
    try:
        with open_image(path) as picture:
            return picture.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise UnreadablePhoto(f"{path} cannot be read as a picture: {error}") from error


def _slug(text: str) -> str:
    return re.sub(r"[^\w+]+", "_", text.casefold()).strip("_")
