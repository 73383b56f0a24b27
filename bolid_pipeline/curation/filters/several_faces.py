"""Photos with more than one face, also one whose body is hidden."""

from bolid_pipeline.curation.filters.base import PhotoFacts, PhotoFilter


class SeveralFaces(PhotoFilter):
    """Rejects photos in which the face detector finds more than one face."""

    reason = "several_faces"

    def rejects(self, photo: PhotoFacts) -> bool:
        """Whether a second face was found. No face at all is fine: people turn round."""
        return photo.num_faces is not None and photo.num_faces > 1
