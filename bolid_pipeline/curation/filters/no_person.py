"""Photos without a body to learn from."""

from bolid_pipeline.curation.filters.base import PhotoFacts, PhotoFilter


class NoPerson(PhotoFilter):
    """Rejects photos in which the pose estimator finds nobody; a face alone is no body."""

    reason = "no_person"

    def rejects(self, photo: PhotoFacts) -> bool:
        """Whether nobody was found."""
        return photo.num_persons == 0
