"""Pictures that the base model draws, and contact sheets of them."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray

PROMPTS: tuple[str, ...] = (
    (
        "a full-length photo of a tall slim woman with long black hair, facing the camera, arms raised, "
        "wearing a red t-shirt and blue trousers, on a beach"
    ),
    (
        "a full-length photo of a short heavy man with no hair, facing the camera, standing, "
        "wearing a green checked shirt and black trousers, in front of a brick wall"
    ),
    (
        "a full-length photo of a tall man with short brown hair, facing right, walking, "
        "wearing a white t-shirt and orange shorts, in a city street"
    ),
    (
        "a full-length photo of a woman with a blond bob, facing the camera, hands on hips, "
        "wearing a yellow dress, in the snow"
    ),
    (
        "a close-up portrait of a heavy woman with a red afro, facing the camera, standing, "
        "wearing a purple shirt, in a studio"
    ),
    (
        "a close-up portrait of a slim man with short grey hair, facing left, standing, "
        "wearing a black jacket, in a forest"
    ),
    (
        "a half-length photo of a woman with brown hair in a bun, facing the camera, arms crossed, "
        "wearing a blue striped t-shirt, in a living room"
    ),
    (
        "a knee-length photo of a man with a black afro, facing the camera, waving, "
        "wearing an orange tank top and white shorts, on a beach"
    ),
    (
        "a full-length photo of a heavy woman with a black ponytail, facing left, walking, "
        "wearing a pink jacket and grey skirt, in a city street"
    ),
    (
        "a full-length photo of a slim man with short blond hair, facing the camera, sitting, "
        "wearing a blue shirt and brown trousers, in a living room"
    ),
    (
        "a full-length photo of a short woman with long red hair, facing right, lunging, "
        "wearing a green tank top and purple shorts, on a stage at night"
    ),
    (
        "a full-length photo of a tall heavy man with short black hair, facing the camera, hands on hips, "
        "wearing a red striped t-shirt and blue trousers, in a forest"
    ),
    (
        "a knee-length photo of a woman with a brown bob, facing the camera, standing, "
        "wearing a white dotted dress, in a studio"
    ),
    "a photo of a man, on a stage at night",
    "a photo of a woman with long blond hair, in the snow",
    "a photo of a woman, arms raised, in front of a brick wall",
)


@torch.no_grad()
def draw_pictures(
    pipeline: StableDiffusionPipeline,
    prompts: Sequence[str],
    *,
    height: int = 80,
    width: int = 48,
    num_steps: int = 30,
    guidance_scale: float = 4.0,
    batch_size: int = 16,
    seed: int = 0,
) -> list[NDArray[np.uint8]]:
    """A (height, width, 3) uint8 RGB picture for each prompt."""
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    pictures: list[NDArray[np.uint8]] = []
    for start in range(0, len(prompts), batch_size):
        drawn = pipeline(
            prompt=list(prompts[start : start + batch_size]),
            height=height,
            width=width,
            num_inference_steps=num_steps,
            guidance_scale=guidance_scale,
            generator=generator,
            output_type="np",
        )
        pictures += list((drawn.images * 255).round().astype(np.uint8))
    return pictures


def write_sheet(
    pictures: Sequence[NDArray[np.uint8]],
    labels: Sequence[str] | None,
    path: Path,
    columns: int = 8,
    scale: int = 4,
) -> None:
    """Write a sheet of pictures of one size: enlarged, in rows, each above its label."""
    cells = []
    for number, picture in enumerate(pictures):
        cell = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        cells.append(
            cell if labels is None else np.concatenate([cell, _label(labels[number], cell.shape[1])])
        )
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-len(cells) % columns)
    rows = [np.concatenate(cells[start : start + columns], axis=1) for start in range(0, len(cells), columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1])


def _label(text: str, width_px: int, num_lines: int = 7, line_px: int = 13) -> NDArray[np.uint8]:
    strip = np.full((num_lines * line_px + 8, width_px, 3), 255, np.uint8)
    line, lines = "", []
    for word in text.split():
        if cv2.getTextSize(f"{line} {word}", cv2.FONT_HERSHEY_SIMPLEX, 0.36, 1)[0][0] > width_px - 8:
            lines, line = [*lines, line], word
        else:
            line = f"{line} {word}".strip()
    for number, content in enumerate([*lines, line][:num_lines]):
        origin = (4, (number + 1) * line_px)
        cv2.putText(strip, content, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (20, 20, 20), 1, cv2.LINE_AA)
    return strip
