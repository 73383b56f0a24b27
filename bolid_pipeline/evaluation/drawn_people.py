"""Pictures of the body bank's people, each beside the picture of the same prompt and noise without identity."""

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from tqdm import tqdm

from bolid_pipeline.evaluation.config import EvaluationConfig
from bolid_pipeline.images.decoding import Rgb
from bolid_pipeline.images.drawing import contact_sheet
from bolid_pipeline.models.pipeline import AnyBoLIDPipeline
from bolid_pipeline.pretrained.memory import BatchSize

_SEX = re.compile(r"\b(woman|man)\b")


@dataclass(frozen=True)
class DrawnPicture:
    """One generated (H, W, 3) uint8 picture; without an `identity` it is the base model's own."""

    prompt: str
    identity: str | None
    picture: Rgb


def who_is(captions: Iterable[str]) -> str:
    """The word that most of a person's captions use, woman or man; person if none uses either."""
    words = Counter(match.group() for caption in captions for match in _SEX.finditer(caption))
    return words.most_common(1)[0][0] if words else "person"


def draw_pictures(
    pipe: AnyBoLIDPipeline, requests: Sequence[tuple[str, str | None]], config: EvaluationConfig
) -> list[DrawnPicture]:
    """Draw each (prompt, identity or None); the same prompt has the same noise, whoever is drawn.

    Args:
        pipe: a pipeline with a checkpoint loaded.
        requests: what to draw.
        config: size and effort; batches that do not fit the device's memory are halved.

    Raises:
        OutOfMemory: a single picture does not fit.
    """
    with_identity = [request for request in requests if request[1] is not None]
    without = [request for request in requests if request[1] is None]
    samples: dict[tuple[str, str | None], DrawnPicture] = {}
    pipe.set_progress_bar_config(disable=True)
    size = BatchSize(config.batch_size, "pictures")
    with tqdm(total=len(requests), desc="samples", unit="picture") as progress:
        for group in (with_identity, without):
            for drawn in size.batches(len(group), partial(_draw, pipe, group, config)):
                samples |= {(sample.prompt, sample.identity): sample for sample in drawn}
                progress.update(len(drawn))
    return [samples[request] for request in requests]


def picture_grid(rows: Sequence[tuple[Rgb, Sequence[DrawnPicture]]], *, cell_px: int = 128) -> Rgb:
    """One labelled row per person: a real photo, then the samples.

    Args:
        rows: a real photo (H, W, 3) uint8 and the samples to show beside it; every row has the same number of samples.
        cell_px: side of a cell.
    """
    images = [image for photo, samples in rows for image in (photo, *(sample.picture for sample in samples))]
    labels = [
        label
        for _, samples in rows
        for label in ("real photo", *(sample.identity or "without identity" for sample in samples))
    ]
    return contact_sheet(images, columns=1 + len(rows[0][1]), cell_px=cell_px, labels=labels)


def _draw(
    pipe: AnyBoLIDPipeline,
    requests: Sequence[tuple[str, str | None]],
    config: EvaluationConfig,
    part: slice,
) -> list[DrawnPicture]:
    """Samples of a part of the requests, in which either everybody or nobody is named."""
    batch = requests[part]
    prompts = [prompt for prompt, _ in batch]
    named = [identity for _, identity in batch if identity is not None]
    pictures_BHWC = pipe(
        prompts,
        identity=named or None,
        body_scale=config.body_scale,
        height=config.height_px,
        width=config.width_px,
        num_inference_steps=config.num_inference_steps,
        guidance_scale=config.guidance_scale,
        latents=torch.cat([_noise(pipe, prompt, config) for prompt in prompts]),
        output_type="np",
    ).images
    pictures = np.rint(pictures_BHWC * 255).astype(np.uint8)
    return [DrawnPicture(*request, picture) for request, picture in zip(batch, pictures, strict=True)]


def _noise(pipe: AnyBoLIDPipeline, prompt: str, config: EvaluationConfig) -> torch.Tensor:
    """(1, C, h, w), the same for the same prompt and seed."""
    seed = zlib.crc32(prompt.encode()) + config.seed
    factor = pipe.vae_scale_factor
    shape = (1, pipe.unet.config.in_channels, config.height_px // factor, config.width_px // factor)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(pipe.unet.dtype)
