"""The stage that counts faces and persons by two networks: a second person may hide their face, or their body."""

from typing import Any

import pyarrow as pa

from bolid_pipeline.curation.recipes import PeopleRecipe
from bolid_pipeline.detection.detector import Detections
from bolid_pipeline.detection.opening import open_face_detector, open_person_detector
from bolid_pipeline.images.decoding import Rgb, decode_stored
from bolid_pipeline.stages.recipe import PhotoStage
from bolid_pipeline.storage.photos import PhotoStore


class PeopleStage(PhotoStage[Rgb | None]):
    """Rows of `face_detections` for photos with `photo_id`, `path`, `width_px` and `height_px`.

    Face boxes are in px of the photo as stored; counts and faces are null for an unreadable photo.
    """

    def __init__(self, recipe: PeopleRecipe, photos: PhotoStore, device: str = "cpu") -> None:
        self._recipe = recipe
        self._photos = photos
        self._faces = open_face_detector(recipe.face_weights).to(device)
        self._persons = open_person_detector(recipe.person_weights).to(device)

    def read(self, photo: dict[str, Any]) -> Rgb | None:
        """The photo, no larger than the networks need; None for one that cannot be read."""
        config = self._recipe.config
        longest = max(config.face_image_size_px, config.person_image_size_px)
        return decode_stored(self._photos.read, photo["path"], min_long_side_px=longest)

    def compute(self, photos: pa.Table, read: list[Rgb | None]) -> pa.Table:
        """Faces and persons of each photo that could be read; nulls for the others."""
        config = self._recipe.config
        readable = [image for image in read if image is not None]
        faces = self._faces.detect(
            readable, image_size=config.face_image_size_px, conf=config.face_conf, iou=config.iou
        )
        persons = self._persons.detect(
            readable, image_size=config.person_image_size_px, conf=config.person_conf, iou=config.iou
        )
        found = iter(zip(readable, faces, persons, strict=True))
        facts = photos.select(["photo_id", "width_px", "height_px"]).to_pylist()
        rows = [
            {"photo_id": photo["photo_id"]}
            | (_UNREADABLE if image is None else _row(*next(found), photo["width_px"], photo["height_px"]))
            for photo, image in zip(facts, read, strict=True)
        ]
        return pa.Table.from_pylist(rows, self._recipe.made_columns)


_UNREADABLE: dict[str, object] = {"num_faces": None, "num_persons": None, "faces": None}


def _row(
    image: Rgb, faces: Detections, persons: Detections, width_px: int, height_px: int
) -> dict[str, object]:
    """Counts and face boxes of `image`, which may be a smaller decoding of a photo of the given size."""
    scaled = faces.scaled(width_px / image.shape[1], height_px / image.shape[0])
    return {
        "num_faces": len(faces.conf),
        "num_persons": len(persons.conf),
        "faces": [
            dict(zip(("x1", "y1", "x2", "y2", "conf"), [*box, conf], strict=True))
            for box, conf in zip(scaled.boxes_xyxy.tolist(), scaled.conf.tolist(), strict=True)
        ],
    }
