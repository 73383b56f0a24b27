"""Prompts of any length for CLIP's 77 positions, for Stable Diffusion (one text encoder) and SDXL (two).

A prompt is cut into windows of 75 tokens. Each window is encoded on its own as BOS + tokens + EOS + padding, and the
windows are concatenated along the sequence, because cross-attention takes any length. A prompt of up to 75 tokens is
one window and gives exactly what stock diffusers gives.

Shape suffixes: B prompts, E text encoders, W windows, T positions of a window (77), L positions of all windows,
D text features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import DiffusionPipeline
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer


@dataclass(frozen=True)
class EncodedText:
    """B prompts as the U-Net reads them."""

    hidden_BLD: torch.Tensor
    """Hidden states for the cross-attention."""
    pooled_BD: torch.Tensor | None = None
    """SDXL's pooled embedding, that of the first window; None before SDXL."""

    def expand(self, num_prompts: int) -> "EncodedText":
        """Repeat one text `num_prompts` times, without copying it."""
        pooled_BD = None if self.pooled_BD is None else self.pooled_BD.expand(num_prompts, -1)
        return EncodedText(self.hidden_BLD.expand(num_prompts, -1, -1), pooled_BD)

    def added_conditions(self, height_px: int, width_px: int) -> dict[str, torch.Tensor]:
        """SDXL's further conditions: the pooled text and the size of an uncropped picture. Empty before SDXL."""
        if self.pooled_BD is None:
            return {}
        sizes = [height_px, width_px, 0, 0, height_px, width_px]
        # Filled on the device: to copy them there from the CPU would make a step wait.
        time_ids_B6 = torch.stack(
            [self.pooled_BD.new_full((len(self.pooled_BD),), size) for size in sizes], dim=1
        )
        return {"text_embeds": self.pooled_BD, "time_ids": time_ids_B6}


def encode_text(
    base: DiffusionPipeline, prompts: Sequence[str], *, num_windows: int | None = None
) -> EncodedText:
    """Encode prompts by the text encoders of a Stable Diffusion or SDXL pipeline.

    Args:
        base: the pipeline.
        prompts: B texts.
        num_windows: windows to pad to; None pads to the longest prompt.

    Raises:
        ValueError: a prompt needs more than `num_windows`.
    """
    return encode_tokens(base, tokenize(base, prompts, num_windows=num_windows))


def tokenize(
    base: DiffusionPipeline, prompts: Sequence[str], *, num_windows: int | None = None
) -> torch.Tensor:
    """Token ids of prompts for each text encoder of a pipeline, padded by empty windows to the same length.

    Args:
        base: the pipeline.
        prompts: B texts.
        num_windows: windows to pad to; None pads to the longest prompt.

    Returns:
        (B, E, W, T) int64: E text encoders, W windows of T positions.

    Raises:
        ValueError: a prompt needs more than `num_windows`.
    """
    of_encoders = [_tokenize(prompts, tokenizer, num_windows) for tokenizer in _tokenizers(base)]
    return torch.stack(of_encoders, dim=1)


@torch.no_grad()
def encode_tokens(base: DiffusionPipeline, token_ids_BEWT: torch.Tensor) -> EncodedText:
    """Encode the token ids of `tokenize`; the result has the device and dtype of the text encoders."""
    outputs = [
        encoder(ids_BWT.flatten(0, 1).to(encoder.device), attention_mask=None, output_hidden_states=True)
        for encoder, ids_BWT in zip(text_encoders(base), token_ids_BEWT.unbind(1), strict=True)
    ]
    num_prompts = len(token_ids_BEWT)
    if not is_sdxl(base):
        return EncodedText(_joined(outputs[0][0], num_prompts))
    # SDXL skips the last layer. Both encoders' outputs begin with a pooled state; it uses the second one's.
    hidden_BLD = torch.cat([_joined(output.hidden_states[-2], num_prompts) for output in outputs], dim=-1)
    return EncodedText(hidden_BLD, outputs[-1][0].unflatten(0, (num_prompts, -1))[:, 0])


def text_encoders(base: DiffusionPipeline) -> list[CLIPTextModel | CLIPTextModelWithProjection]:
    """The text encoders of a pipeline: one, or SDXL's two."""
    return [base.text_encoder, base.text_encoder_2] if is_sdxl(base) else [base.text_encoder]


def empty_text(base: DiffusionPipeline, *, num_windows: int = 1) -> EncodedText:
    """Encode the empty prompt as inference does without a negative prompt: zeros for an SDXL that asks for them."""
    empty = encode_text(base, [""], num_windows=num_windows)
    if empty.pooled_BD is None or not base.config.force_zeros_for_empty_prompt:
        return empty
    return EncodedText(torch.zeros_like(empty.hidden_BLD), torch.zeros_like(empty.pooled_BD))


def encode_long_prompts(
    base: DiffusionPipeline, prompt: str | list[str] | None, negative_prompt: str | list[str] | None
) -> tuple[EncodedText, EncodedText] | None:
    """Encode prompts and negative prompts by windows, both padded to the same length.

    Returns:
        (positive, negative), or None if one window holds every text, so that stock diffusers can encode them.
    """
    if prompt is None:
        return None
    prompts, negatives = as_texts(prompt), as_texts(negative_prompt)
    num_windows = count_windows([*prompts, *negatives], base.tokenizer)
    if num_windows == 1:
        return None
    positive = encode_text(base, prompts, num_windows=num_windows)
    if not negatives:
        return positive, empty_text(base, num_windows=num_windows).expand(len(prompts))
    negatives = negatives * (len(prompts) // len(negatives))
    return positive, encode_text(base, negatives, num_windows=num_windows)


def as_texts(prompt: str | Sequence[str] | None) -> list[str]:
    """Return one text, several, or none as a list."""
    if prompt is None:
        return []
    return [prompt] if isinstance(prompt, str) else list(prompt)


def is_sdxl(base: DiffusionPipeline) -> bool:
    """True if a pipeline has SDXL's two text encoders."""
    return hasattr(base, "text_encoder_2")


def count_windows(prompts: Sequence[str], tokenizer: CLIPTokenizer) -> int:
    """Number of windows that the longest of the prompts takes, at least 1."""
    return max(map(len, _windows(prompts, tokenizer)))


def _tokenizers(base: DiffusionPipeline) -> list[CLIPTokenizer]:
    return [base.tokenizer, base.tokenizer_2] if is_sdxl(base) else [base.tokenizer]


def _tokenize(prompts: Sequence[str], tokenizer: CLIPTokenizer, num_windows: int | None) -> torch.Tensor:
    """(B, W, T) int64: the windows of all prompts, for one text encoder."""
    windows_of_prompts = _windows(prompts, tokenizer)
    length = max(map(len, windows_of_prompts))
    num_windows = length if num_windows is None else num_windows
    if length > num_windows:
        raise ValueError(f"a prompt takes {length} windows of 75 tokens, more than num_windows={num_windows}")
    empty = _window([], tokenizer)
    return torch.tensor([windows + [empty] * (num_windows - len(windows)) for windows in windows_of_prompts])


def _joined(hidden_states: torch.Tensor, num_prompts: int) -> torch.Tensor:
    """Concatenate the hidden states of each prompt's windows into one sequence."""
    return hidden_states.unflatten(0, (num_prompts, -1)).flatten(1, 2)


def _windows(prompts: Sequence[str], tokenizer: CLIPTokenizer) -> list[list[list[int]]]:
    """The token ids of each window of each prompt, `model_max_length` of them per window."""
    ids = tokenizer(list(prompts), add_special_tokens=False, truncation=False, verbose=False).input_ids
    size = tokenizer.model_max_length - 2
    return [
        [_window(of_prompt[i : i + size], tokenizer) for i in range(0, max(len(of_prompt), 1), size)]
        for of_prompt in ids
    ]


def _window(token_ids: list[int], tokenizer: CLIPTokenizer) -> list[int]:
    padding = [tokenizer.pad_token_id] * (tokenizer.model_max_length - 2 - len(token_ids))
    return [tokenizer.bos_token_id, *token_ids, tokenizer.eos_token_id, *padding]
