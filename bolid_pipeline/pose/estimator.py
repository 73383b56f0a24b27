"""The stage that finds the body in every photo."""

from typing import Any

import pyarrow as pa

from bolid_pipeline.detection.detector import Detections
from bolid_pipeline.detection.opening import open_pose_estimator
from bolid_pipeline.images.decoding import Rgb, decode_stored
from bolid_pipeline.pose.recipe import PoseRecipe
from bolid_pipeline.stages.recipe import PhotoStage
from bolid_pipeline.storage.photos import PhotoStore


class PoseStage(PhotoStage[Rgb | None]):
    """Rows of `poses` for photos with `photo_id`, `path`, `width_px` and `height_px`.

    The surest person's box (x1, y1, x2, y2) and 17 keypoints (x, y, confidence), in px of the photo as
    stored; both null where nobody is found, or the photo cannot be read.
    """

    def __init__(self, recipe: PoseRecipe, photos: PhotoStore, device: str = "cpu") -> None:
        self._recipe = recipe
        self._photos = photos
        self._model = open_pose_estimator(recipe.weights, recipe.person_weights).to(device)

    def read(self, photo: dict[str, Any]) -> Rgb | None:
        """The photo, no larger than the network needs; None for one that cannot be read."""
        size = self._recipe.config.image_size_px
        return decode_stored(self._photos.read, photo["path"], min_long_side_px=size)

    def compute(self, photos: pa.Table, read: list[Rgb | None]) -> pa.Table:
        """The pose of each photo that could be read; null for the others."""
        config = self._recipe.config
        readable = [image for image in read if image is not None]
        people = iter(
            self._model.detect(
                readable, image_size=config.image_size_px, conf=config.person_conf, iou=config.iou
            )
        )
        facts = photos.select(["photo_id", "width_px", "height_px"]).to_pylist()
        rows = [
            _row(photo, image, None if image is None else next(people))
            for photo, image in zip(facts, read, strict=True)
        ]
        return pa.Table.from_pylist(rows, self._recipe.made_columns)


def _row(photo: dict[str, Any], image: Rgb | None, people: Detections | None) -> dict[str, Any]:
    """The pose of the surest person in `image`, which may be a smaller decoding of the photo."""
    nobody = {"photo_id": photo["photo_id"], "keypoints": None, "person_box": None}
    if image is None or people is None:
        return nobody
    scaled = people.scaled(photo["width_px"] / image.shape[1], photo["height_px"] / image.shape[0])
    if scaled.keypoints is None or not len(scaled.conf):
        return nobody
    best = int(scaled.conf.argmax())
    return {
        "photo_id": photo["photo_id"],
        "keypoints": scaled.keypoints[best].tolist(),
        "person_box": scaled.boxes_xyxy[best].tolist(),
    }
