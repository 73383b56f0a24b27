"""Photos with more than one body, also one whose face is hidden."""

from bolid_pipeline.curation.filters.base import PhotoFacts, PhotoFilter


class SeveralPersons(PhotoFilter):
    """Rejects photos in which the pose estimator finds more than one person."""

    reason = "several_persons"

    def rejects(self, photo: PhotoFacts) -> bool:
        """Whether a second person was found."""
        return photo.num_persons is not None and photo.num_persons > 1
