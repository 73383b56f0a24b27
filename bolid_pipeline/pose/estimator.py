"""The stage that finds the body in every photo, and what makes its rows."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from bolid_pipeline.errors import WeightsMismatch
from bolid_pipeline.images import Rgb, decode_many
from bolid_pipeline.pose.config import PoseConfig
from bolid_pipeline.pretrained.yolo import Detections, detect, load_yolo
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.schemas import SCHEMAS


class PoseStage:
    """Rows of `poses` for photos with `photo_id`, `path`, `width_px` and `height_px`.

    The surest person's box (x1, y1, x2, y2) and 17 keypoints (x, y, confidence), in px of the photo as
    stored; both null where nobody is found, or the photo cannot be read.
    """

    def __init__(
        self,
        photos: PhotoStore,
        weights: Path,
        config: PoseConfig,
        *,
        fingerprint: str,
        sha256: str | None = None,
        device: str = "cpu",
    ) -> None:
        self._photos = photos
        self._model = load_yolo(weights, sha256).to(device)
        self._config = config
        self._fingerprint = fingerprint

    def __call__(self, photos: pa.Table) -> pa.Table:
        """See the class."""
        return self.compute(photos, self.read(photos))

    def read(self, photos: pa.Table) -> list[Rgb | None]:
        """Each photo, no larger than the network needs."""
        size = self._config.image_size_px
        return decode_many(self._photos.read, photos["path"].to_pylist(), min_long_side_px=size)

    def compute(self, photos: pa.Table, images: list[Rgb | None]) -> pa.Table:
        """The rows of photos that were read."""
        size = self._config.image_size_px
        readable = [image for image in images if image is not None]
        people = iter(
            detect(
                self._model, readable, image_size=size, conf=self._config.person_conf, iou=self._config.iou
            )
        )
        rows = [
            _row(photo, image, None if image is None else next(people))
            for photo, image in zip(
                photos.select(["photo_id", "width_px", "height_px"]).to_pylist(), images, strict=True
            )
        ]
        return pa.Table.from_pylist(
            [{**row, "model_fingerprint": self._fingerprint} for row in rows], SCHEMAS["poses"].columns
        )


def _row(photo: dict[str, Any], image: Rgb | None, people: Detections | None) -> dict[str, Any]:
    """The surest of the people in `image`, which may be a smaller decoding of the photo."""
    if image is None or people is None or not len(people.conf):
        return {"photo_id": photo["photo_id"], "keypoints": None, "person_box": None}
    scaled = people.scaled(photo["width_px"] / image.shape[1], photo["height_px"] / image.shape[0])
    keypoints_NK3 = scaled.keypoints
    if keypoints_NK3 is None:
        raise WeightsMismatch(
            "the pose estimator finds no keypoints: a plain detector was loaded in its place"
        )
    best = int(scaled.conf.argmax())
    return {
        "photo_id": photo["photo_id"],
        "keypoints": keypoints_NK3[best].tolist(),
        "person_box": scaled.boxes_xyxy[best].tolist(),
    }
