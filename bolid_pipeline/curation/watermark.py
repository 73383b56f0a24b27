"""The stage that gives every photo a watermark probability."""

from pathlib import Path

import pyarrow as pa
import torch

from bolid_pipeline.curation.watermark_network import (
    INPUT_SIDE_PX,
    load_watermark_classifier,
    watermark_input,
)
from bolid_pipeline.images import decode_many
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.schemas import SCHEMAS


class WatermarkStage:
    """Rows of `watermark_scores` for photos with `photo_id` and `path`; unreadable ones get a null."""

    def __init__(
        self,
        photos: PhotoStore,
        weights: Path,
        *,
        fingerprint: str,
        sha256: str | None = None,
        device: str = "cpu",
    ) -> None:
        self._photos = photos
        self._model = load_watermark_classifier(weights, sha256).to(device)
        self._fingerprint = fingerprint
        self._device = device

    def __call__(self, photos: pa.Table) -> pa.Table:
        """See the class."""
        return self.compute(photos, self.read(photos))

    def read(self, photos: pa.Table) -> list[torch.Tensor | None]:
        """What the network sees of each photo."""
        images = decode_many(self._photos.read, photos["path"].to_pylist(), min_side_px=INPUT_SIDE_PX)
        return [None if image is None else watermark_input(image) for image in images]

    def compute(self, photos: pa.Table, inputs: list[torch.Tensor | None]) -> pa.Table:
        """The rows of photos that were read."""
        probs = iter(self._probabilities([each for each in inputs if each is not None]))
        return pa.table(
            {
                "photo_id": photos["photo_id"],
                "watermark_prob": [None if each is None else next(probs) for each in inputs],
                "model_fingerprint": [self._fingerprint] * photos.num_rows,
            },
            SCHEMAS["watermark_scores"].columns,
        )

    @torch.inference_mode()
    def _probabilities(self, inputs: list[torch.Tensor]) -> list[float]:
        if not inputs:
            return []
        logits_B2 = self._model(torch.stack(inputs).to(self._device))
        return logits_B2.softmax(dim=-1)[:, 1].tolist()
