"""Prompts of any length for CLIP's 77 positions, for Stable Diffusion (one text encoder) and SDXL (two).

A prompt is cut into windows of 75 tokens. Each window is encoded on its own as BOS + tokens + EOS + padding, and the
windows are concatenated along the sequence, because cross-attention takes any length. A prompt of up to 75 tokens is
one window and gives exactly what stock diffusers gives.

Shape suffixes: B prompts, L positions of all windows, D text features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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

    def to(self, like: torch.Tensor) -> "EncodedText":
        """The texts with the device and dtype of another tensor."""
        return EncodedText(
            self.hidden_BLD.to(like), None if self.pooled_BD is None else self.pooled_BD.to(like)
        )

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
    if not is_sdxl(base):
        hidden_BLD = encode_prompts(prompts, base.tokenizer, base.text_encoder, num_windows=num_windows)
        return EncodedText(hidden_BLD)
    hidden_states: list[torch.Tensor] = []
    pooled_BD = None
    for tokenizer, text_encoder in (
        (base.tokenizer, base.text_encoder),
        (base.tokenizer_2, base.text_encoder_2),
    ):
        output = _encode_windows(prompts, tokenizer, text_encoder, num_windows)
        hidden_states.append(_joined(output.hidden_states[-2], len(prompts)))  # SDXL skips the last layer
        # Both encoders' outputs begin with a pooled state; SDXL uses the second one's.
        pooled_BD = output[0].unflatten(0, (len(prompts), -1))[:, 0]
    return EncodedText(torch.cat(hidden_states, dim=-1), pooled_BD)


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
    return max(len(_windows(prompt, tokenizer)) for prompt in prompts)


def encode_prompts(
    prompts: Sequence[str],
    tokenizer: CLIPTokenizer,
    text_encoder: CLIPTextModel,
    *,
    num_windows: int | None = None,
) -> torch.Tensor:
    """Encode prompts by one text encoder, all padded by empty windows to the same length.

    Args:
        prompts: B texts.
        tokenizer: the base model's CLIP tokenizer (model_max_length 77 for CLIP).
        text_encoder: the base model's text encoder; the result has its device and dtype.
        num_windows: windows to pad to; None pads to the longest prompt.

    Returns:
        (B, num_windows * 77, D) hidden states of the last layer.

    Raises:
        ValueError: a prompt needs more than `num_windows`.
    """
    return _joined(_encode_windows(prompts, tokenizer, text_encoder, num_windows)[0], len(prompts))


@torch.no_grad()
def _encode_windows(
    prompts: Sequence[str],
    tokenizer: CLIPTokenizer,
    text_encoder: CLIPTextModel | CLIPTextModelWithProjection,
    num_windows: int | None,
) -> Any:
    """Run the text encoder over all windows of all prompts, stacked in one batch."""
    windows_of_prompts = [_windows(prompt, tokenizer) for prompt in prompts]
    length = max(map(len, windows_of_prompts))
    num_windows = length if num_windows is None else num_windows
    if length > num_windows:
        raise ValueError(f"a prompt takes {length} windows of 75 tokens, more than num_windows={num_windows}")
    empty = _window([], tokenizer)
    padded = [windows + [empty] * (num_windows - len(windows)) for windows in windows_of_prompts]
    input_ids = torch.tensor(padded, device=text_encoder.device).flatten(0, 1)
    return text_encoder(input_ids, attention_mask=None, output_hidden_states=True)


def _joined(hidden_states: torch.Tensor, num_prompts: int) -> torch.Tensor:
    """Concatenate the hidden states of each prompt's windows into one sequence."""
    return hidden_states.unflatten(0, (num_prompts, -1)).flatten(1, 2)


def _windows(prompt: str, tokenizer: CLIPTokenizer) -> list[list[int]]:
    """The token ids of each window of a prompt, `model_max_length` of them per window."""
    token_ids = tokenizer(prompt, add_special_tokens=False, truncation=False, verbose=False).input_ids
    size = tokenizer.model_max_length - 2
    return [_window(token_ids[i : i + size], tokenizer) for i in range(0, max(len(token_ids), 1), size)]


def _window(token_ids: list[int], tokenizer: CLIPTokenizer) -> list[int]:
    padding = [tokenizer.pad_token_id] * (tokenizer.model_max_length - 2 - len(token_ids))
    return [tokenizer.bos_token_id, *token_ids, tokenizer.eos_token_id, *padding]
