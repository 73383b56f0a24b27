"""The stage that gives every photo its caption."""

import logging
from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa

from bolid_pipeline.captioning.answers import FALLBACK, as_caption
from bolid_pipeline.captioning.config import VlmConfig
from bolid_pipeline.captioning.recipe import CaptionRecipe
from bolid_pipeline.images.decoding import Rgb, decode_stored
from bolid_pipeline.stages.recipe import PhotoStage
from bolid_pipeline.storage.photos import PhotoStore

_logger = logging.getLogger(__name__)

_SHOWN_LETTERS = 80
_MIN_SIDE_PX = 448
"""Photos may be decoded smaller, as long as their shorter side keeps this many px."""


class Captioner(Protocol):
    """Describes images in words. It loads its model when it is made."""

    def __call__(self, images: Sequence[Rgb]) -> list[str]:
        """One caption per (H, W, 3) uint8 image."""
        ...


class CaptionStage(PhotoStage[Rgb | None]):
    """Rows of `captions` for photos with `photo_id` and `path`; a null caption for an unreadable photo."""

    def __init__(self, recipe: CaptionRecipe, photos: PhotoStore, device: str = "cpu") -> None:
        self._recipe = recipe
        self._photos = photos
        self._captioner = _open_captioner(recipe, device)

    def read(self, photo: dict[str, Any]) -> Rgb | None:
        """The photo, no larger than the captioner needs; None for one that cannot be read."""
        return decode_stored(self._photos.read, photo["path"], min_side_px=_MIN_SIDE_PX)

    def compute(self, photos: pa.Table, read: list[Rgb | None]) -> pa.Table:
        """A caption for each photo that could be read, a bare one if the answer says nothing; null for the others."""
        answers = self._captioner([image for image in read if image is not None])
        seen = photos.filter(pa.array([image is not None for image in read], pa.bool_()))
        captions = map(_caption, answers, seen.to_pylist())
        return pa.table(
            {
                "photo_id": photos["photo_id"],
                "caption": [None if image is None else next(captions) for image in read],
            },
            self._recipe.made_columns,
        )


def _caption(answer: str, photo: dict[str, Any]) -> str:
    """The caption that an answer gives. A training needs one for each photo."""
    caption = as_caption(answer, photo.get("identity"))
    if caption is None:
        _logger.warning(
            "photo %s: the captioner answered %r; its caption is %r",
            photo["photo_id"],
            answer[:_SHOWN_LETTERS],
            FALLBACK,
        )
    return caption or FALLBACK


def _open_captioner(recipe: CaptionRecipe, device: str) -> Captioner:
    if isinstance(recipe.config, VlmConfig):
        from bolid_pipeline.captioning.vlm import VlmCaptioner

        return VlmCaptioner(recipe.model, recipe.config, device)
    from bolid_pipeline.captioning.clip_attributes import ClipAttributeCaptioner

    return ClipAttributeCaptioner(recipe.model, recipe.config, device)
