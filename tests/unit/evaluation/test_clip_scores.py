from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import save_tiny_clip
from transformers import CLIPModel, CLIPProcessor

from bolid_pipeline.errors import WeightsMissing
from bolid_pipeline.evaluation.clip_scores import clip_t
from bolid_pipeline.evaluation.drawn_people import DrawnPicture


def test_clip_t_is_the_mean_cosine_of_picture_and_prompt(tmp_path: Path):
    folder = save_tiny_clip(tmp_path)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 80, 48, 3), dtype=np.uint8)
    prompts = ["a woman", "a man on a beach"]
    samples = [DrawnPicture(prompt, None, picture) for prompt, picture in zip(prompts, pictures, strict=True)]

    inputs = CLIPProcessor.from_pretrained(folder)(
        text=prompts,
        images=[Image.fromarray(picture) for picture in pictures],
        padding=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        clip = CLIPModel.from_pretrained(folder, dtype=torch.float32)
        output = clip(**inputs)
    cosines = output.logits_per_image.diagonal() / clip.logit_scale.exp()

    for batch_size in (1, 2):
        found = clip_t(samples, folder, batch_size=batch_size)
        assert found == pytest.approx(cosines.mean().item(), abs=1e-4)


def test_a_missing_clip_is_named(tmp_path: Path):
    with pytest.raises(WeightsMissing, match="nowhere"):
        clip_t([], tmp_path / "nowhere")
