"""Every model of `theplace_sd15` as it is published, in real shapes with random weights, in a folder of weights.

The folder holds `owner/name/...` as on the hub. The two YOLO networks are the embedded ones, which have the published
architecture: networks with random weights would find nobody, and no photo would be kept. Weights are float16 or
bfloat16, to halve the disk space.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLImageProcessor,
)

from bodyworld.weights import weights_folder
from bolid_pipeline.curation.watermark_network import WatermarkClassifier
from bolid_pipeline.detection.yolo import load_yolo
from bolid_pipeline.models import adapter_files, adapters
from bolid_pipeline.models.architectures import IMAGE_EMBED_DIM, SD15
from resources.deployments import Role

_CLIP_TEXT = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}
_CLIP_L_VISION = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
}
_CLIP_H_VISION = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "patch_size": 14,
    "hidden_act": "gelu",
}
_QWEN_TEXT = {
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "rope_theta": 1e6,
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
}
_QWEN_VISION = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "out_hidden_size": 2048,
    "patch_size": 14,
    "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


_Model = TypeVar("_Model", bound=torch.nn.Module)


def write_published_weights(root: Path, addresses: dict[Role, str]) -> None:
    """Write the model of each role to `root`/address, unless it is there. Prints what it writes."""
    for role, address in addresses.items():
        place = root / address
        if place.is_file() or any(place.glob("*.json")):
            continue
        print(f"writing {role}: {address}", flush=True)
        torch.manual_seed(0)
        _WRITERS[role](place)


def random_model(make: Callable[[], _Model], dtype: torch.dtype = torch.float16) -> _Model:
    """The model with random weights, built without a float32 copy."""
    with torch.device("meta"):
        model = make()
    return with_random_weights(model, dtype)


def with_random_weights(model: _Model, dtype: torch.dtype) -> _Model:
    """A model on the meta device, with random weights on the CPU."""
    model = model.to(dtype).to_empty(device="cpu")
    for name, tensor in model.named_parameters():
        tensor.data.fill_(1.0) if "norm" in name and name.endswith("weight") else tensor.data.normal_(0, 0.02)
    for name, buffer in model.named_buffers():
        if name.endswith("position_ids"):
            buffer.copy_(torch.arange(buffer.shape[-1])[None])
    return model.requires_grad_(False).eval()


def _base_model(folder: Path) -> None:
    with torch.device("meta"):
        base = SD15.new_base(_clip_tokenizer())
    for part in (base.unet, base.vae, base.text_encoder):
        with_random_weights(part, torch.float16)
    base.save_pretrained(folder)
    _tokenizer_leftovers(folder / "tokenizer")


def _clip(folder: Path) -> None:
    config = CLIPConfig(text_config=_CLIP_TEXT, vision_config=_CLIP_L_VISION, projection_dim=768)
    random_model(lambda: CLIPModel(config)).save_pretrained(folder)
    _clip_tokenizer().save_pretrained(folder)
    _tokenizer_leftovers(folder)
    CLIPImageProcessor().save_pretrained(folder)


def _image_encoder(folder: Path) -> None:
    config = CLIPVisionConfig(**_CLIP_H_VISION, projection_dim=IMAGE_EMBED_DIM)
    random_model(lambda: CLIPVisionModelWithProjection(config)).save_pretrained(folder)


def _feature_extractor(folder: Path) -> None:
    CLIPImageProcessor().save_pretrained(folder)


def _ip_adapter(path: Path) -> None:
    unet = random_model(lambda: UNet2DConditionModel(**SD15.unet))
    path.parent.mkdir(parents=True, exist_ok=True)
    adapter_files.write_adapter(adapters.new_ref_state(unet, IMAGE_EMBED_DIM), path)


def _tiny_autoencoder(folder: Path) -> None:
    random_model(AutoencoderTiny).save_pretrained(folder)  # its default sizes are TAESD's


def _watermark_classifier(path: Path) -> None:
    model = WatermarkClassifier()
    # Random weights would call about every second photo watermarked.
    model.head.fc[-1].bias.data.copy_(torch.tensor([5.0, -5.0]))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), path)


def _yolo(embedded: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        (weights,) = weights_folder(embedded).glob("*.safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"model": load_yolo(weights).half(), "ema": None, "train_args": {}}, path)

    return write


def _captioner(folder: Path) -> None:
    tokenizer = _byte_tokenizer()
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in _QWEN_NAMES}
    special = {
        "bos_token_id": ids["im_start"],
        "eos_token_id": ids["im_end"],
        "pad_token_id": ids["endoftext"],
    }
    config = Qwen2_5_VLConfig(
        text_config=_QWEN_TEXT | special | {"tie_word_embeddings": True},
        tie_word_embeddings=True,
        vision_config=_QWEN_VISION,
        image_token_id=ids["image_pad"],
        video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
    )
    model = random_model(lambda: Qwen2_5_VLForConditionalGeneration(config), torch.bfloat16)
    model.lm_head.weight = (
        model.get_input_embeddings().weight
    )  # the published files hold no head of their own
    model.save_pretrained(folder, max_shard_size="5GB")  # two files, as published
    tokenizer.save_pretrained(folder)
    Qwen2VLImageProcessor(patch_size=14, merge_size=2).save_pretrained(folder)
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": _CHAT}))
    (folder / "vocab.json").write_text(json.dumps(tokenizer.get_vocab()))
    (folder / "merges.txt").write_text("#version: 0.2\n")


_QWEN_NAMES = ("endoftext", "im_start", "im_end", "vision_start", "vision_end", "image_pad", "video_pad")


def _byte_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of bytes: random weights do not care what their tokens mean."""
    alphabet = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    raw = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([f"<|{name}|>" for name in _QWEN_NAMES])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token="<|im_end|>",  # noqa: S106
        pad_token="<|endoftext|>",  # noqa: S106
    )


def _clip_tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(weights_folder("base_model") / "tokenizer")


def _tokenizer_leftovers(folder: Path) -> None:
    """Files that the published folders hold, and transformers no longer writes."""
    tokenizer = weights_folder("base_model") / "tokenizer"
    for name in ("merges.txt", "vocab.json"):
        (folder / name).write_bytes((tokenizer / name).read_bytes())
    names = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    (folder / "special_tokens_map.json").write_text(json.dumps(names))


_WRITERS: dict[Role, Callable[[Path], None]] = {
    "base_model": _base_model,
    "clip": _clip,
    "image_encoder": _image_encoder,
    "feature_extractor": _feature_extractor,
    "base_model_layout": _base_model,
    "ip_adapter": _ip_adapter,
    "tiny_autoencoder": _tiny_autoencoder,
    "watermark_classifier": _watermark_classifier,
    "face_detector": _yolo("face_detector"),
    "person_detector": _yolo("pose_estimator"),
    "pose_estimator": _yolo("pose_estimator"),
    "captioner": _captioner,
}
