"""Captions from a CLIP: each slot of a form gets the phrase that fits the photo best.

The model folder is a `CLIPModel` of transformers with its tokenizer and image processor, and a `slots.json` beside
them (see `bolid_pipeline.captioning.slots`). A CLIP that was trained on whole captions has never seen a bare phrase.
So a phrase is scored by the mean embedding of whole captions that contain it. Their other slots are drawn at random,
the same for all phrases of a slot (prompt ensembling: Radford et al., 2021, section 3.1.4).

Shapes: B photos, P phrases of one slot, D embedding width.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

from bolid_pipeline.captioning.config import ClipCaptionConfig
from bolid_pipeline.captioning.slots import CaptionForm, read_form
from bolid_pipeline.errors import WeightsMissing
from bolid_pipeline.images.decoding import Rgb
from bolid_pipeline.pretrained.loading import loading
from bolid_pipeline.pretrained.model_folders import load_network

_TEXTS_PER_BATCH = 256


class ClipAttributeCaptioner:
    """Captions from a closed vocabulary, quick on a CPU."""

    def __init__(self, folder: Path, config: ClipCaptionConfig | None = None, device: str = "cpu") -> None:
        """Load `folder` and embed the phrases of its form. Raises WeightsMissing, ConfigurationError."""
        if not folder.is_dir():
            raise WeightsMissing(f"no CLIP at {folder}")
        self._form = read_form(folder / "slots.json")
        clip = load_network(CLIPModel, folder, dtype=torch.float32)
        with loading(folder):
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._processor = CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
        self._clip = clip.to(device).eval()
        self._device = device
        self._phrases_PD = self._embed_phrases(config or ClipCaptionConfig())

    @torch.inference_mode()
    def __call__(self, images: Sequence[Rgb]) -> list[str]:
        """One caption per (H, W, 3) uint8 image."""
        if not images:
            return []
        pixels = self._processor(images=list(images), return_tensors="pt")["pixel_values"].to(self._device)
        embeds_BD = self._clip.visual_projection(self._clip.vision_model(pixel_values=pixels).pooler_output)
        best = {
            slot: (embeds_BD @ phrases_PD.T).argmax(dim=1).tolist()
            for slot, phrases_PD in self._phrases_PD.items()
        }
        return [
            self._form.compose({slot: self._form.slots[slot][chosen[row]] for slot, chosen in best.items()})
            for row in range(len(images))
        ]

    @torch.inference_mode()
    def _embed_phrases(self, config: ClipCaptionConfig) -> dict[str, Tensor]:
        """Slot -> (P, D): the mean embedding of each phrase's captions, of length 1."""
        captions = captions_by_phrase(self._form, config)
        vocabulary = sorted({text for phrases in captions.values() for texts in phrases for text in texts})
        embeds = dict(zip(vocabulary, self._embed_texts(vocabulary), strict=True))
        return {
            slot: nn.functional.normalize(
                torch.stack([torch.stack([embeds[text] for text in texts]).mean(0) for texts in phrases]),
                dim=1,
            )
            for slot, phrases in captions.items()
        }

    def _embed_texts(self, texts: Sequence[str]) -> Tensor:
        """(len(texts), D), each of length 1."""
        pieces: list[Tensor] = []
        for start in range(0, len(texts), _TEXTS_PER_BATCH):
            batch = list(texts[start : start + _TEXTS_PER_BATCH])
            tokens = self._tokenizer(batch, padding=True, truncation=True, return_tensors="pt").to(
                self._device
            )
            pooled = self._clip.text_model(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
            ).pooler_output
            pieces.append(nn.functional.normalize(self._clip.text_projection(pooled), dim=1))
        return torch.cat(pieces)


def captions_by_phrase(form: CaptionForm, config: ClipCaptionConfig) -> dict[str, list[list[str]]]:
    """Slot -> for each of its phrases the captions that contain it.

    Each slot's contexts are drawn once and shared by its phrases, so that the captions differ in the phrase alone.
    Contexts in which the sentence does not mention the slot are left out, unless there are no others.
    """
    rng = random.Random(config.seed)
    captions: dict[str, list[list[str]]] = {}
    for slot, phrases in form.slots.items():
        contexts = [
            {name: rng.choice(choices) for name, choices in form.slots.items()}
            for _ in range(config.num_contexts)
        ]
        telling = [context for context in contexts if _tells(form, context, slot)] or contexts
        captions[slot] = [
            [form.compose(context | {slot: phrase}) for context in telling] for phrase in phrases
        ]
    return captions


def _tells(form: CaptionForm, context: dict[str, str], slot: str) -> bool:
    """True if the caption of `context` changes with the phrase of `slot`."""
    return len({form.compose(context | {slot: phrase}) for phrase in form.slots[slot]}) > 1
