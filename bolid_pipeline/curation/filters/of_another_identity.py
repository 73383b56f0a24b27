"""Photos whose picture stands under somebody else too: at least one of the labels is wrong."""

from bolid_pipeline.curation.filters.base import PhotoFacts, PhotoFilter


class OfAnotherIdentity(PhotoFilter):
    """Rejects photos that the crawl found, byte for byte or nearly, in two people's galleries."""

    reason = "photo_of_another_identity"

    def rejects(self, photo: PhotoFacts) -> bool:
        """Whether the picture is shared."""
        return photo.is_shared
