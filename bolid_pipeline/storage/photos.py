"""Photo bytes, exactly as received, under the hash of their content."""

import hashlib
from pathlib import Path

from bolid_pipeline.storage.atomic import write_atomically


class PhotoStore:
    """`<data_dir>/photos/<first two hex>/<photo_id>.<extension>`; photo_id is the bytes' sha256 in hex."""

    def __init__(self, data_dir: str | Path) -> None:
        self._data_dir = Path(data_dir)

    def add(self, data: bytes, extension: str) -> tuple[str, str]:
        """Store `data` unless it is there already.

        Args:
            data: the photo's bytes.
            extension: the true type's extension, without the dot (`jpg`, `png`, `webp`).

        Returns:
            photo_id and the path relative to `data_dir`, with forward slashes.
        """
        photo_id = hashlib.sha256(data).hexdigest()
        path = f"photos/{photo_id[:2]}/{photo_id}.{extension}"
        if not (self._data_dir / path).exists():
            write_atomically(self._data_dir / path, data)
        return photo_id, path

    def read(self, path: str) -> bytes:
        """The bytes at `path`, as `add` returned it. Raises FileNotFoundError."""
        return self._inside(path).read_bytes()

    def delete(self, path: str) -> None:
        """Remove the photo at `path`; one that is gone already is no error."""
        self._inside(path).unlink(missing_ok=True)

    def _inside(self, path: str) -> Path:
        """The absolute path, held inside the photo folder: a table's `path` must not reach other files."""
        photos = (self._data_dir / "photos").resolve()
        absolute = (self._data_dir / path).resolve()
        if not absolute.is_relative_to(photos):
            raise ValueError(f"{path!r} lies outside of {photos}")
        return absolute
