"""Texts that are encoded once and kept in memory, because a training shows the same ones again and again."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from bolid_pipeline.models.base import BaseModel
from bolid_pipeline.models.text import EncodedText, count_windows, empty_text, encode_text
from bolid_pipeline.training.losses.clip import ClipSimilarity

_TEXTS_PER_CALL = 64


class TextCache:
    """The tensors of texts, one row per distinct text, on the CPU.

    Args:
        texts: all texts that will be asked for.
        encode: B texts -> tensors with B rows each, on any device.
    """

    def __init__(
        self, texts: Sequence[str], encode: Callable[[Sequence[str]], tuple[torch.Tensor, ...]]
    ) -> None:
        distinct = sorted(set(texts))
        parts = [
            tuple(tensor.cpu() for tensor in encode(distinct[start : start + _TEXTS_PER_CALL]))
            for start in range(0, len(distinct), _TEXTS_PER_CALL)
        ]
        self._tensors = tuple(torch.cat(of_parts) for of_parts in zip(*parts, strict=True))
        self._row_of_text = {text: row for row, text in enumerate(distinct)}

    def gather(self, texts: Sequence[str]) -> tuple[torch.Tensor, ...]:
        """The tensors of B texts, B rows each."""
        rows = [self._row_of_text[text] for text in texts]
        return tuple(tensor[rows] for tensor in self._tensors)


class PromptCache:
    """Prompts as the text encoders of the base model encode them, kept as float16.

    Args:
        prompts: all prompts that will be asked for; the longest decides the length of all.
        base: the base model.
        device: device on which its text encoders work; afterwards they return to their own device.
    """

    def __init__(self, prompts: Sequence[str], base: BaseModel, device: torch.device) -> None:
        num_windows = count_windows(sorted(set(prompts)), base.tokenizer)

        def encode(some: Sequence[str]) -> tuple[torch.Tensor, ...]:
            text = encode_text(base, some, num_windows=num_windows)
            pooled = () if text.pooled_BD is None else (text.pooled_BD,)
            return tuple(tensor.half() for tensor in (text.hidden_BLD, *pooled))

        with text_encoders_on(device, base):
            self._cache = TextCache(prompts, encode)
            empty = empty_text(base, num_windows=num_windows)
        pooled_1D = None if empty.pooled_BD is None else empty.pooled_BD.cpu()
        self.empty = EncodedText(empty.hidden_BLD.cpu(), pooled_1D)
        """The empty prompt, padded to the same length as the others."""

    def gather(self, prompts: Sequence[str]) -> EncodedText:
        """B prompts, float16."""
        return EncodedText(*self._cache.gather(prompts))


def clip_text_cache(captions: Sequence[str], clip: ClipSimilarity, device: torch.device) -> TextCache:
    """Captions as the CLIP of L_CLIP encodes them: one tensor (B, D) float32. The CLIP stays on the device."""
    clip.to(device)
    return TextCache(captions, lambda some: (clip.encode_texts(list(some)),))


@contextmanager
def text_encoders_on(device: torch.device, base: BaseModel) -> Iterator[None]:
    """The base model with its text encoders on a device; the trainer's module lacks them, so it does not move them."""
    encoders = [base.text_encoder, getattr(base, "text_encoder_2", None)]
    moved = [(encoder, encoder.device) for encoder in encoders if encoder is not None]
    for encoder, _ in moved:
        encoder.to(device)
    try:
        yield
    finally:
        for encoder, home in moved:
            encoder.to(home)
