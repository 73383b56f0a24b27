"""What a filter is, and what it may know about a photo."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class PhotoFacts:
    """What is known about a photo; None where its bytes could not be read."""

    width_px: int
    height_px: int
    watermark_prob: float | None
    num_faces: int | None
    num_persons: int | None
    is_shared: bool = False
    """Whether the same picture stands under somebody else too."""


class PhotoFilter(ABC):
    """A pure verdict. A filter that asks for an unknown fact does not reject: that is `unreadable`'s part."""

    reason: ClassVar[str]
    """One of `bolid_pipeline.curation.curate.REASONS`."""

    @abstractmethod
    def rejects(self, photo: PhotoFacts) -> bool:
        """Whether the photo must go, for this filter's reason."""
