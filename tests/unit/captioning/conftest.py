"""Small models with real architectures, made and saved on the spot."""

import json

import pytest
import torch
from tiny_vlm import save_tiny_qwen3_vl, save_tiny_vlm
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
_TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}


def _clip_tokenizer():
    words = [
        "<pad>",
        "<start>",
        "<unk>",
        "a",
        "an",
        "photo",
        "of",
        "field",
        *COLOURS,
        ",",
        "bright",
        "dark",
        "<end>",
    ]
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>")  # noqa: S106
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(word, words.index(word)) for word in ("<start>", "<end>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<start> $A <end>", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",  # noqa: S106
        eos_token="<end>",  # noqa: S106
        bos_token="<start>",  # noqa: S106
        model_max_length=16,
    )


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    """A CLIP that has learnt three colours and bright from dark, from captions like "a photo of a bright red field"."""
    folder = tmp_path_factory.mktemp("clip")
    tokenizer = _clip_tokenizer()
    torch.manual_seed(0)
    text = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 16,
        "eos_token_id": tokenizer.eos_token_id,
    }
    vision = {"image_size": 16, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=_TOWER | text, vision_config=_TOWER | vision, projection_dim=16))
    processor = CLIPImageProcessor(size={"height": 16, "width": 16}, do_center_crop=False)
    pairs = [
        (f"a photo of a {light} {name} field", torch.tensor(rgb).float() * scale)
        for name, rgb in COLOURS.items()
        for light, scale in (("bright", 1.0), ("dark", 0.4))
    ]
    images = [rgb.to(torch.uint8).expand(16, 16, 3).numpy() for _, rgb in pairs]
    pixels = processor(images=images, return_tensors="pt")["pixel_values"]
    tokens = tokenizer([caption for caption, _ in pairs], padding=True, return_tensors="pt")
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    loss = torch.inf
    for _ in range(60):
        loss = model(tokens["input_ids"], pixels, tokens["attention_mask"], return_loss=True).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.2
    form = {
        "slots": {"light": ["bright", "dark"], "colour": list(COLOURS)},
        "caption": [{"text": "a photo of a(n) {light} {colour} field"}],
    }
    (folder / "slots.json").write_text(json.dumps(form))
    for part in (model, tokenizer, processor):
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def vlm_folder(tmp_path_factory):
    return save_tiny_vlm(tmp_path_factory.mktemp("vlm"))


@pytest.fixture(scope="session")
def qwen3_vl_folder(tmp_path_factory):
    return save_tiny_qwen3_vl(tmp_path_factory.mktemp("qwen3_vl"))
