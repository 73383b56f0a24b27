"""Photo bytes, exactly as received, under the hash of their content."""

import hashlib
from pathlib import PurePosixPath

from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.location import Location, locate


class PhotoStore:
    """`<data_dir>/photos/<first two hex>/<photo_id>.<extension>`; photo_id is the bytes' sha256 in hex."""

    def __init__(self, data_dir: str | Location) -> None:
        self._data_dir = locate(data_dir)

    def add(self, data: bytes, extension: str) -> tuple[str, str]:
        """Store `data` unless it is there already.

        Args:
            data: the photo's bytes.
            extension: the true type's extension, without the dot (`jpg`, `png`, `webp`).

        Returns:
            photo_id and the path relative to `data_dir`, with forward slashes.
        """
        photo_id, path = self.address(data, extension)
        if not self.has(path):
            write_atomically(self._data_dir / path, data)
        return photo_id, path

    @staticmethod
    def address(data: bytes, extension: str) -> tuple[str, str]:
        """What `add` would return; nothing is stored."""
        photo_id = hashlib.sha256(data).hexdigest()
        return photo_id, f"photos/{photo_id[:2]}/{photo_id}.{extension}"

    def has(self, path: str) -> bool:
        """Whether the photo at `path` is there; one that is there is whole."""
        return self._inside(path).exists()

    def paths(self) -> set[str]:
        """All photos that are there, by listing: on object storage a thousand at a time."""
        files = (self._data_dir / "photos").glob("*/*")
        return {f"photos/{file.parent.name}/{file.name}" for file in files}

    def read(self, path: str) -> bytes:
        """The bytes at `path`, as `add` returned it. Raises FileNotFoundError."""
        return self._inside(path).read_bytes()

    def delete(self, path: str) -> None:
        """Remove the photo at `path`; one that is gone already is no error."""
        self._inside(path).unlink(missing_ok=True)

    def recover(self) -> None:
        """Remove the unfinished files of a writer that was killed."""
        for unfinished in (self._data_dir / "photos").glob("*/.*.tmp"):
            unfinished.unlink()

    def _inside(self, path: str) -> Location:
        """The file, held inside the photo folder: a table's `path` must not reach other files."""
        steps = PurePosixPath(path).parts
        if steps[0] != "photos" or ".." in steps:
            raise ValueError(f"{path!r} lies outside of the photo folder of {self._data_dir}")
        return self._data_dir / path
