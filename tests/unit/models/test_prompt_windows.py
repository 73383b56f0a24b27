from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from tiny_models import TEXT_DIM

from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.text import count_windows, encode_text


@pytest.fixture(scope="module")
def base(tiny_stable_diffusion: Path) -> StableDiffusionPipeline:
    return load_base_model(tiny_stable_diffusion)


def _stock(base: StableDiffusionPipeline, prompt: str) -> torch.Tensor:
    return base.encode_prompt(prompt, torch.device("cpu"), 1, False)[0]


@pytest.mark.parametrize("prompt", ["", "a woman", "x" * 75])
def test_up_to_75_tokens_is_what_stock_diffusers_gives(base: StableDiffusionPipeline, prompt: str) -> None:
    assert torch.equal(encode_text(base, [prompt]).hidden_BLD, _stock(base, prompt))


def test_the_76th_token_opens_a_second_window(base: StableDiffusionPipeline) -> None:
    encoded = encode_text(base, ["x" * 75 + " yz"]).hidden_BLD
    assert encoded.shape == (1, 2 * 77, TEXT_DIM)
    torch.testing.assert_close(encoded[:, 77:], _stock(base, "yz"))


def test_shorter_prompts_are_padded_by_empty_windows(base: StableDiffusionPipeline) -> None:
    assert count_windows(["short", "x" * 160], base.tokenizer) == 3
    encoded = encode_text(base, ["short", "x" * 160]).hidden_BLD
    torch.testing.assert_close(encoded[:1, :77], _stock(base, "short"))
    for window in (1, 2):
        torch.testing.assert_close(encoded[:1, window * 77 : (window + 1) * 77], _stock(base, ""))


def test_a_prompt_too_long_for_the_asked_windows_is_refused(base: StableDiffusionPipeline) -> None:
    with pytest.raises(ValueError, match="takes 3 windows"):
        encode_text(base, ["x" * 160], num_windows=2)
