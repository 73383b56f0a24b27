"""The small CLIP: its sizes, its image processor, and the files it is saved as."""

import json
from pathlib import Path
from typing import Any

from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from bodyworld.pretrain.tokenizer import MAX_TOKENS, save_tokenizer
from bodyworld.world.captions import CAMERA_PHRASES, SLOTS

IMAGE_SIZE_PX = 64
PROJECTION_DIM = 128
IMAGE_MEAN = IMAGE_STD = (0.5, 0.5, 0.5)
_WITH_LEGS = {"camera": [CAMERA_PHRASES["full"], CAMERA_PHRASES["knee"]]}


def new_clip(tokenizer: CLIPTokenizer) -> CLIPModel:
    """An untrained CLIP of 3 M parameters."""
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "max_position_embeddings": MAX_TOKENS,
        "hidden_act": "gelu",
        "projection_dim": PROJECTION_DIM,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        "image_size": IMAGE_SIZE_PX,
        "patch_size": 8,
        "hidden_size": 192,
        "intermediate_size": 768,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "hidden_act": "gelu",
        "projection_dim": PROJECTION_DIM,
    }
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=PROJECTION_DIM)
    # On CPUs the backward pass of plain attention is faster than that of the fused one.
    config._attn_implementation = "eager"  # noqa: SLF001 - the one switch that transformers has for this
    return CLIPModel(config)


def new_image_processor() -> CLIPImageProcessor:
    """A processor that squashes photos to the input square: people are tall, and a crop would lose head or feet."""
    return CLIPImageProcessor(
        do_resize=True,
        size={"height": IMAGE_SIZE_PX, "width": IMAGE_SIZE_PX},
        do_center_crop=False,
        do_rescale=True,
        do_normalize=True,
        image_mean=list(IMAGE_MEAN),
        image_std=list(IMAGE_STD),
    )


def caption_form() -> dict[str, Any]:
    """Slots and sentence of bodyworld's captions, in the format of `bolid_pipeline.captioning.slots`."""
    return {
        "slots": SLOTS,
        "unsaid": ["medium-height", "average", "plain"],
        "caption": [
            {"text": "{camera} of a(n) {height} {build} {sex} with {hair}, {facing}, {pose}"},
            {"text": ", wearing a(n) {top_colour} {top_pattern} {top}"},
            {
                "text": " and {bottom_colour} {bottom}",
                "when": _WITH_LEGS,
                "unless": {"top": ["dress"], "bottom": ["skirt"]},
            },
            {
                "text": " and a(n) {bottom_colour} skirt",
                "when": _WITH_LEGS | {"bottom": ["skirt"]},
                "unless": {"top": ["dress"]},
            },
            {"text": ", {background}"},
        ],
    }


def save_clip(model: CLIPModel, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write the model (float16), tokenizer, image processor, and the slots that the captioner scores."""
    folder.mkdir(parents=True, exist_ok=True)
    half = CLIPModel(model.config)
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float32"}, indent=2) + "\n")
    save_tokenizer(tokenizer, folder)
    new_image_processor().save_pretrained(folder)
    (folder / "slots.json").write_text(json.dumps(caption_form(), indent=1) + "\n")
