"""Scores of a CLIP on bodyworld: retrieval of captions, and the phrases of a caption read from a picture.

Shape suffixes: B batch, C channel, H height, W width, E embedding, N pictures, P phrases of a slot, S slots.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPModel, CLIPTokenizer

from bodyworld.pretrain.clip_pictures import Pictures, normalised
from bodyworld.world.captions import SLOTS, compose_caption

NUM_CONTEXTS = 8
"""Whole captions that each phrase is tried in."""


def embed_texts(model: CLIPModel, tokenizer: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """(B, E) float32 embeddings of texts, of length 1."""
    tokens = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    pooled = model.text_model(input_ids=tokens.input_ids).pooler_output
    return F.normalize(model.text_projection(pooled).float(), dim=-1)


def embed_images(model: CLIPModel, images_BCHW: Tensor) -> Tensor:
    """(B, E) float32, of any length, as `CLIPVisionModelWithProjection` returns them."""
    return model.visual_projection(model.vision_model(pixel_values=images_BCHW).pooler_output).float()


@torch.no_grad()
def embed_phrases(
    model: CLIPModel, tokenizer: CLIPTokenizer, known: Sequence[dict[str, str]], rng: np.random.Generator
) -> list[Tensor]:
    """(P, E) for every slot: each phrase is the mean of `NUM_CONTEXTS` whole captions with that phrase put in."""
    contexts = [embed_texts(model, tokenizer, slot_captions(known, rng)) for _ in range(NUM_CONTEXTS)]
    mean = F.normalize(torch.stack(contexts).mean(0), dim=-1)
    return list(mean.split([len(phrases) for phrases in SLOTS.values()]))


def slot_captions(known: Sequence[dict[str, str]], rng: np.random.Generator) -> list[str]:
    """For each phrase of each slot, in order: the whole caption of a known picture, with that phrase put in.

    The phrases of one slot use the same picture, so that their captions differ in the phrase alone.
    """
    complete = [entry for entry in known if len(entry) == len(SLOTS)]
    captions: list[str] = []
    for slot, phrases in SLOTS.items():
        context = complete[rng.integers(len(complete))]
        captions += [compose_caption(context | {slot: phrase}) for phrase in phrases]
    return captions


def slot_accuracy(
    units_NE: Tensor, phrases: Sequence[Tensor], labels_NS: NDArray[np.int64]
) -> dict[str, float]:
    """For every slot, the share of pictures (of those that show it) whose nearest phrase is the right one."""
    accuracy: dict[str, float] = {}
    for number, slot in enumerate(SLOTS):
        labels = torch.from_numpy(labels_NS[:, number])
        hits = (units_NE @ phrases[number].T).argmax(1) == labels
        accuracy[slot] = round(float(hits[labels >= 0].float().mean()), 3)
    return accuracy


def retrieval_top1(images_NE: Tensor, texts_NE: Tensor, pool: int) -> dict[str, float]:
    """Share of pictures that find their own caption among `pool`, and of captions that find their picture."""
    targets = torch.arange(pool)
    image_to_text, text_to_image = [], []
    for start in range(0, len(images_NE) - pool + 1, pool):
        similarity = images_NE[start : start + pool] @ texts_NE[start : start + pool].T
        image_to_text.append((similarity.argmax(1) == targets).float().mean())
        text_to_image.append((similarity.argmax(0) == targets).float().mean())
    return {
        "image_to_text_top1": round(float(torch.stack(image_to_text).mean()), 3),
        "text_to_image_top1": round(float(torch.stack(text_to_image).mean()), 3),
    }


@torch.no_grad()
def evaluate_clip(
    model: CLIPModel, tokenizer: CLIPTokenizer, pictures: Pictures, rng: np.random.Generator, pool: int = 256
) -> dict[str, Any]:
    """Retrieval of pictures and captions among `pool` of them, and zero-shot accuracy of every slot."""
    parts = np.array_split(pictures.pixels_NHW3, 8)
    units = F.normalize(torch.cat([embed_images(model, normalised(part)) for part in parts]), dim=-1)
    texts = embed_texts(model, tokenizer, [compose_caption(slots) for slots in pictures.slots])
    phrases = embed_phrases(model, tokenizer, pictures.slots, rng)
    accuracy = slot_accuracy(units, phrases, pictures.labels_NS)
    return {"retrieval_pool": pool, **retrieval_top1(units, texts, pool), "slot_accuracy": accuracy}
