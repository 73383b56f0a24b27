"""The stage that counts faces and persons: by two networks, since a second person may hide either."""

from pathlib import Path

import pyarrow as pa

from bolid_pipeline.curation.config import PeopleConfig
from bolid_pipeline.images import Rgb, decode_many
from bolid_pipeline.pretrained.yolo import Detections, detect, load_yolo
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.schemas import SCHEMAS


class PeopleStage:
    """Rows of `face_detections` for photos with `photo_id`, `path`, `width_px` and `height_px`.

    Face boxes are in px of the photo as stored; counts and faces are null for an unreadable photo.
    """

    def __init__(
        self,
        photos: PhotoStore,
        face_weights: Path,
        pose_weights: Path,
        config: PeopleConfig,
        *,
        fingerprint: str,
        face_sha256: str | None = None,
        pose_sha256: str | None = None,
        device: str = "cpu",
    ) -> None:
        self._photos = photos
        self._faces = load_yolo(face_weights, face_sha256).to(device)
        self._persons = load_yolo(pose_weights, pose_sha256).to(device)
        self._config = config
        self._fingerprint = fingerprint

    def __call__(self, photos: pa.Table) -> pa.Table:
        """See the class."""
        return self.compute(photos, self.read(photos))

    def read(self, photos: pa.Table) -> list[Rgb | None]:
        """Each photo, no larger than the networks need."""
        longest = max(self._config.face_image_size_px, self._config.person_image_size_px)
        return decode_many(self._photos.read, photos["path"].to_pylist(), min_long_side_px=longest)

    def compute(self, photos: pa.Table, images: list[Rgb | None]) -> pa.Table:
        """The rows of photos that were read."""
        config = self._config
        readable = [image for image in images if image is not None]
        faces = detect(
            self._faces, readable, image_size=config.face_image_size_px, conf=config.face_conf, iou=config.iou
        )
        persons = detect(
            self._persons,
            readable,
            image_size=config.person_image_size_px,
            conf=config.person_conf,
            iou=config.iou,
        )
        found = iter(zip(readable, faces, persons, strict=True))
        sizes = photos.select(["width_px", "height_px"]).to_pylist()
        rows = [
            {"num_faces": None, "num_persons": None, "faces": None}
            if image is None
            else _row(*next(found), size["width_px"], size["height_px"])
            for image, size in zip(images, sizes, strict=True)
        ]
        ids = photos["photo_id"].to_pylist()
        return pa.Table.from_pylist(
            [
                {"photo_id": photo_id, **row, "model_fingerprint": self._fingerprint}
                for photo_id, row in zip(ids, rows, strict=True)
            ],
            SCHEMAS["face_detections"].columns,
        )


def _row(
    image: Rgb, faces: Detections, persons: Detections, width_px: int, height_px: int
) -> dict[str, object]:
    """What was found in `image`, which may be a smaller decoding of a photo of the given size."""
    scaled = faces.scaled(width_px / image.shape[1], height_px / image.shape[0])
    return {
        "num_faces": len(faces.conf),
        "num_persons": len(persons.conf),
        "faces": [
            dict(zip(("x1", "y1", "x2", "y2", "conf"), [*box, conf], strict=True))
            for box, conf in zip(scaled.boxes_xyxy.tolist(), scaled.conf.tolist(), strict=True)
        ],
    }
