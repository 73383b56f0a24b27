"""Photo bytes, exactly as received, under the hash of their content."""

import hashlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from bolid_pipeline.storage.atomic import make_durable, write_atomically
from bolid_pipeline.storage.location import Location, locate


class PhotoStore:
    """`<data_dir>/photos/<first two hex>/<photo_id>.<extension>`; photo_id is the bytes' sha256 in hex."""

    def __init__(self, data_dir: str | Location) -> None:
        self._data_dir = locate(data_dir)

    def add(self, data: bytes, extension: str) -> tuple[str, str]:
        """Store `data` durably, unless it is stored already.

        Args:
            data: the photo's bytes.
            extension: the true type's extension, without the dot (`jpg`, `png`, `webp`).

        Returns:
            photo_id and the path relative to `data_dir`, with forward slashes.
        """
        photo_id, path = self.address(data, extension)
        self.write(path, data)
        self.make_durable([path])
        return photo_id, path

    def write(self, path: str, data: bytes) -> None:
        """Store `data` at its address unless it is stored already; safe from a power cut after `make_durable`."""
        if not self.is_whole(path):
            write_atomically(self._inside(path), data, is_durable=False)

    def make_durable(self, paths: Collection[str]) -> None:
        """Fsync photos that `write` has stored; for many at once it costs a tenth per photo."""
        if not paths or not isinstance(self._data_dir, Path):
            return  # nothing was written, or the uploads are durable by themselves
        folders = {".", "photos", *(path.rpartition("/")[0] for path in paths)}
        make_durable(*([self._data_dir / name for name in names] for names in (set(paths), folders)))

    @staticmethod
    def address(data: bytes, extension: str) -> tuple[str, str]:
        """The photo_id and path that `add` would return, without storing anything."""
        photo_id = hashlib.sha256(data).hexdigest()
        return photo_id, f"photos/{photo_id[:2]}/{photo_id}.{extension}"

    def is_whole(self, path: str) -> bool:
        """True if the file at `path` exists and its bytes have the hash in its name."""
        file = self._inside(path)
        if not isinstance(file, Path):
            return file.exists()  # an upload is either complete or absent
        return file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() == file.stem

    def paths(self) -> set[str]:
        """The paths of all stored photos, by listing: on object storage a thousand per request."""
        files = (self._data_dir / "photos").glob("*/*")
        return {f"photos/{file.parent.name}/{file.name}" for file in files}

    def read(self, path: str) -> bytes:
        """The bytes at `path`, as `add` returned it. Raises FileNotFoundError."""
        return self._inside(path).read_bytes()

    def delete(self, path: str) -> None:
        """Remove the photo at `path`, if it exists."""
        self._inside(path).unlink(missing_ok=True)

    def recover(self) -> None:
        """Remove unfinished files that a killed writer has left."""
        for unfinished in (self._data_dir / "photos").glob("*/.*.tmp"):
            unfinished.unlink()

    def _inside(self, path: str) -> Location:
        """The file of a path. Raises ValueError outside of the photo folder: a table must not reach other files."""
        steps = PurePosixPath(path).parts
        if steps[0] != "photos" or ".." in steps:
            raise ValueError(f"{path!r} lies outside of the photo folder of {self._data_dir}")
        return self._data_dir / path
