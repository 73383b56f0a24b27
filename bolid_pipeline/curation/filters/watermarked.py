"""Photos with a watermark, which a generator would learn to draw."""

from bolid_pipeline.curation.filters.base import PhotoFacts, PhotoFilter


class Watermarked(PhotoFilter):
    """Rejects photos whose watermark probability is above `max_prob`."""

    reason = "watermarked"

    def __init__(self, max_prob: float) -> None:
        self._max_prob = max_prob

    def rejects(self, photo: PhotoFacts) -> bool:
        """Whether the classifier is surer than allowed."""
        return photo.watermark_prob is not None and photo.watermark_prob > self._max_prob
