"""Captions from a vision-language model: Qwen2.5-VL (Bai et al., 2025), Qwen3-VL, or one with the same interface."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from bolid_pipeline.captioning.config import VlmConfig
from bolid_pipeline.images.decoding import Rgb, resize_to
from bolid_pipeline.pretrained.loading import loading
from bolid_pipeline.pretrained.model_folders import load_network


class VlmCaptioner:
    """Captions in free text, by greedy decoding, so that they are deterministic. Real models need a GPU."""

    def __init__(self, folder: Path, config: VlmConfig | None = None, device: str = "cpu") -> None:
        """Load the model of `folder`, in the dtype of its files. Raises WeightsMissing, WeightsMismatch."""
        self._config = config or VlmConfig()
        self._device = device
        model = load_network(AutoModelForImageTextToText, folder, dtype="auto")
        with loading(folder):
            self._processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        # Answers of a batch start together only if the shorter questions are padded in front.
        self._processor.tokenizer.padding_side = "left"
        self._model = model.to(device)

    @torch.inference_mode()
    def __call__(self, images: Sequence[Rgb]) -> list[str]:
        """One caption per (H, W, 3) uint8 image."""
        if not images:
            return []
        question = self._processor.apply_chat_template(
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": self._config.prompt}]}],
            add_generation_prompt=True,
            tokenize=False,
        )
        inputs = self._processor(
            text=[question] * len(images),
            images=[_shrink(image, self._config.max_side_px) for image in images],
            padding=True,
            return_tensors="pt",
        ).to(self._device)
        tokens = self._model.generate(**inputs, max_new_tokens=self._config.max_new_tokens, do_sample=False)
        answers = tokens[:, inputs["input_ids"].shape[1] :]
        return [
            " ".join(text.split()) for text in self._processor.batch_decode(answers, skip_special_tokens=True)
        ]


def _shrink(image: Rgb, max_side_px: int) -> Image.Image:
    """The image with its longer side at most `max_side_px`."""
    height, width = image.shape[:2]
    scale = max_side_px / max(height, width)
    if scale >= 1:
        return Image.fromarray(image)
    return Image.fromarray(resize_to(image, max(1, round(height * scale)), max(1, round(width * scale))))
