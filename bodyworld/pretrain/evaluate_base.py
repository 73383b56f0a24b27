"""Measure CLIP and base model on unseen people, and draw the contact sheet.

python -m bodyworld.pretrain.evaluate_base
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import cv2
import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from torch.nn import functional as F
from transformers import CLIPModel, CLIPTokenizer

from bodyworld.pretrain.autoencoder import evaluate as evaluate_autoencoder
from bodyworld.pretrain.clip_model import IMAGE_SIZE_PX
from bodyworld.pretrain.clip_pictures import normalised, slot_labels, squash
from bodyworld.pretrain.clip_quality import (
    embed_images,
    embed_phrases,
    embed_texts,
    evaluate_clip,
    retrieval_top1,
    slot_accuracy,
)
from bodyworld.pretrain.drawn_pictures import PROMPTS, draw_pictures, write_sheet
from bodyworld.pretrain.thumbnails import Thumbnails, open_thumbnails, render_shard
from bodyworld.weights import weights_folder
from bodyworld.world.captions import SLOTS, compose_caption

EVALUATION_SEED = 30_000
_WAYS = ("image_to_text_top1", "text_to_image_top1")


def render_held_out(num_shards: int, seed: int) -> dict[tuple[int, int], Thumbnails]:
    """Pictures of people of another seed than that of the training."""
    with TemporaryDirectory() as folder:
        for shard in range(num_shards):
            render_shard(shard, Path(folder), seed)
        return open_thumbnails(Path(folder))


@torch.no_grad()
def evaluate_samples(
    pipeline: StableDiffusionPipeline,
    clip: CLIPModel,
    tokenizer: CLIPTokenizer,
    known: list[dict[str, str]],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Rates at which pictures drawn from captions find their caption among all of `known`, and show its phrases."""
    captions = [compose_caption(slots) for slots in known]
    pictures = draw_pictures(pipeline, captions, height=64, width=64, seed=int(rng.integers(2**31)))
    size = (IMAGE_SIZE_PX, IMAGE_SIZE_PX)
    pixels = np.stack([cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures])
    units = F.normalize(embed_images(clip, normalised(pixels)), dim=-1)
    phrases = embed_phrases(clip, tokenizer, known, rng)
    return {
        "retrieval_pool": len(known),
        **retrieval_top1(units, embed_texts(clip, tokenizer, captions), len(known)),
        "slot_accuracy": slot_accuracy(units, phrases, slot_labels(known)),
    }


def table(on_photos: dict[str, Any], on_samples: dict[str, Any]) -> str:
    """A Markdown table of what chance, photos and samples reach in retrieval and in every slot."""
    pool = on_samples["retrieval_pool"]
    rows = [(f"{way}, among {pool}", 1 / pool, on_photos[way], on_samples[way]) for way in _WAYS]
    photos, samples = on_photos["slot_accuracy"], on_samples["slot_accuracy"]
    rows += [(slot, 1 / len(phrases), photos[slot], samples[slot]) for slot, phrases in SLOTS.items()]
    body = [f"| {name} | {chance:.3f} | {photo:.3f} | {sample:.3f} |" for name, chance, photo, sample in rows]
    return "\n".join(["| told from the picture | chance | photos | samples |", "|---|---|---|---|", *body])


@click.command()
@click.option("--clip", "clip_dir", type=Path, default=weights_folder("clip"), show_default=False)
@click.option("--base-model", "base_dir", type=Path, default=weights_folder("base_model"), show_default=False)
@click.option("--sheet", type=Path, default=Path("docs/images/base_model_samples.png"), show_default=True)
@click.option("--num-samples", default=64, show_default=True)
@click.option("--seed", default=EVALUATION_SEED, show_default=True)
def main(*, clip_dir: Path, base_dir: Path, sheet: Path, num_samples: int, seed: int) -> None:
    """Print measurements of the CLIP and the base model; draw the contact sheet."""
    rng = np.random.default_rng(seed)
    held_out = render_held_out(3, seed)
    pictures = squash(list(held_out.values())).shuffled(rng)
    clip = CLIPModel.from_pretrained(clip_dir, dtype=torch.float32).eval()
    tokenizer = CLIPTokenizer.from_pretrained(clip_dir)
    pipeline = StableDiffusionPipeline.from_pretrained(base_dir)
    write_sheet(draw_pictures(pipeline, PROMPTS, seed=seed), PROMPTS, sheet)
    with TemporaryDirectory() as folder:
        autoencoder = evaluate_autoencoder(pipeline.vae, held_out, Path(folder) / "reconstructions.png")
    on_photos = evaluate_clip(clip, tokenizer, pictures, rng, pool=num_samples)
    on_samples = evaluate_samples(pipeline, clip, tokenizer, pictures.slots[:num_samples], rng)
    print(json.dumps({"autoencoder": autoencoder, "clip": on_photos, "base_model": on_samples}, indent=1))
    print(table(on_photos, on_samples))


if __name__ == "__main__":
    main()
