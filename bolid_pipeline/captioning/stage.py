"""The stage that gives every photo its caption."""

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from bolid_pipeline.images import Rgb, decode_many
from bolid_pipeline.stages.recipe import PhotoStage
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.schemas import SCHEMAS, without_fingerprints


class Captioner(Protocol):
    """Says what images show. It loads its model when it is made."""

    def __call__(self, images: Sequence[Rgb]) -> list[str]:
        """One caption per (H, W, 3) uint8 image."""
        ...


class CaptionStage(PhotoStage[list[Rgb | None]]):
    """Rows of `captions` for photos with `photo_id` and `path`; a null caption for an unreadable photo."""

    def __init__(self, photos: PhotoStore, captioner: Captioner, *, min_side_px: int = 448) -> None:
        """`min_side_px`: photos may be decoded smaller, as long as their shorter side keeps this many px."""
        self._photos = photos
        self._captioner = captioner
        self._min_side_px = min_side_px

    def read(self, photos: pa.Table) -> list[Rgb | None]:
        """Each photo, no larger than the captioner needs."""
        return decode_many(self._photos.read, photos["path"].to_pylist(), min_side_px=self._min_side_px)

    def compute(self, photos: pa.Table, read: list[Rgb | None]) -> pa.Table:
        """A caption for each photo that could be read; null for the others."""
        captions = iter(self._captioner([image for image in read if image is not None]))
        return pa.table(
            {
                "photo_id": photos["photo_id"],
                "caption": [None if image is None else next(captions) for image in read],
            },
            without_fingerprints(SCHEMAS["captions"].columns),
        )
