"""Prompts of any length for CLIP's 77 positions.

A prompt is cut into windows of 75 tokens; each window is encoded on its own as BOS + tokens + EOS + padding, and the
windows are concatenated along the sequence, where the cross-attention takes any length. A prompt of up to 75 tokens
is one window and gives exactly what stock Stable Diffusion gives.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import CLIPTextModel


def count_windows(prompts: Sequence[str], tokenizer: Any) -> int:
    """How many windows the longest of the prompts takes; at least 1."""
    return max(len(_windows(prompt, tokenizer)) for prompt in prompts)


def encode_prompts(
    prompts: Sequence[str], tokenizer: Any, text_encoder: CLIPTextModel, *, num_windows: int | None = None
) -> torch.Tensor:
    """Encode prompts, all padded by empty windows to the same length.

    Args:
        prompts: B texts.
        tokenizer: the base model's CLIP tokenizer (model_max_length L, 77 for CLIP).
        text_encoder: the base model's text encoder; its device and dtype are those of the result.
        num_windows: windows to pad to; the longest prompt decides if None.

    Returns:
        (B, num_windows * L, D) hidden states.

    Raises:
        ValueError: a prompt needs more than `num_windows`.
    """
    windows_of_prompts = [_windows(prompt, tokenizer) for prompt in prompts]
    length = max(map(len, windows_of_prompts))
    num_windows = length if num_windows is None else num_windows
    if length > num_windows:
        raise ValueError(f"a prompt takes {length} windows of 75 tokens, more than num_windows={num_windows}")
    empty = _window([], tokenizer)
    padded = [windows + [empty] * (num_windows - len(windows)) for windows in windows_of_prompts]
    input_ids = torch.tensor(padded, device=text_encoder.device).flatten(0, 1)
    with torch.no_grad():
        hidden_states = text_encoder(input_ids, attention_mask=None)[0]
    return hidden_states.unflatten(0, (len(prompts), num_windows)).flatten(1, 2)


def _windows(prompt: str, tokenizer: Any) -> list[list[int]]:
    """The token ids of each window of a prompt, each of model_max_length."""
    token_ids = tokenizer(prompt, add_special_tokens=False, truncation=False, verbose=False).input_ids
    size = tokenizer.model_max_length - 2
    return [_window(token_ids[i : i + size], tokenizer) for i in range(0, max(len(token_ids), 1), size)]


def _window(token_ids: list[int], tokenizer: Any) -> list[int]:
    padding = [tokenizer.pad_token_id] * (tokenizer.model_max_length - 2 - len(token_ids))
    return [tokenizer.bos_token_id, *token_ids, tokenizer.eos_token_id, *padding]
