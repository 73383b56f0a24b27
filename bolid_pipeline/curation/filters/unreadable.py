"""Photos that cannot be decoded."""

from bolid_pipeline.curation.filters.base import PhotoFacts, PhotoFilter


class Unreadable(PhotoFilter):
    """Rejects photos that a network could not look at, because their bytes are damaged or gone."""

    reason = "unreadable"

    def rejects(self, photo: PhotoFacts) -> bool:
        """Whether any fact that needs the pixels is missing."""
        return None in (photo.watermark_prob, photo.num_faces, photo.num_persons)
