"""The stage that gives every photo the probability of a watermark."""

from typing import Any

import pyarrow as pa
import torch

from bolid_pipeline.curation.recipes import WatermarkRecipe
from bolid_pipeline.curation.watermark_network import (
    INPUT_SIDE_PX,
    load_watermark_classifier,
    watermark_input,
)
from bolid_pipeline.images.decoding import decode_stored
from bolid_pipeline.stages.recipe import PhotoStage
from bolid_pipeline.storage.photos import PhotoStore


class WatermarkStage(PhotoStage[torch.Tensor | None]):
    """Rows of `watermark_scores` for photos with `photo_id` and `path`; unreadable ones get a null."""

    def __init__(self, recipe: WatermarkRecipe, photos: PhotoStore, device: str = "cpu") -> None:
        self._recipe = recipe
        self._photos = photos
        self._model = load_watermark_classifier(recipe.weights.path, recipe.weights.sha256).to(device)
        self._device = device

    def read(self, photo: dict[str, Any]) -> torch.Tensor | None:
        """The network's input; None for a photo that cannot be read."""
        image = decode_stored(self._photos.read, photo["path"], min_side_px=INPUT_SIDE_PX)
        return None if image is None else watermark_input(image)

    def compute(self, photos: pa.Table, read: list[torch.Tensor | None]) -> pa.Table:
        """A probability for each photo that could be read; null for the others."""
        probs = iter(self._probabilities([each for each in read if each is not None]))
        return pa.table(
            {
                "photo_id": photos["photo_id"],
                "watermark_prob": [None if each is None else next(probs) for each in read],
            },
            self._recipe.made_columns,
        )

    @torch.inference_mode()
    def _probabilities(self, inputs: list[torch.Tensor]) -> list[float]:
        if not inputs:
            return []
        logits_B2 = self._model(torch.stack(inputs).to(self._device))
        return logits_B2.softmax(dim=-1)[:, 1].tolist()
