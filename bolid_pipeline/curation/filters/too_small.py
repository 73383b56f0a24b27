"""Photos with too few pixels."""

from bolid_pipeline.curation.filters.base import PhotoFacts, PhotoFilter


class TooSmall(PhotoFilter):
    """Rejects photos with a side shorter than `min_side_px`."""

    reason = "too_small"

    def __init__(self, min_side_px: int) -> None:
        self._min_side_px = min_side_px

    def rejects(self, photo: PhotoFacts) -> bool:
        """Whether either side is too short."""
        return min(photo.width_px, photo.height_px) < self._min_side_px
